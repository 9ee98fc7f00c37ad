"""Sums over all rows of a folder, a block at a time."""

import dataclasses

import numpy as np
from jaxtyping import Float64, Shaped, UInt64

MAX_HASHED_ROWS = 20_000_000  # 8 bytes each
MAX_LISTED = 20


@dataclasses.dataclass
class Statistics:
    """Of all rows, gathered block by block."""

    d_in: int
    n_rows: int = 0
    sums: Float64[np.ndarray, " d_in"] = dataclasses.field(init=False)
    lowest: Shaped[np.ndarray, " d_in"] = dataclasses.field(init=False)
    highest: Shaped[np.ndarray, " d_in"] = dataclasses.field(init=False)
    norms: tuple[float, float] = (np.inf, 0.0)  # least, greatest
    sum_of_squares: float = 0.0
    hashes: list[UInt64[np.ndarray, " rows"]] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        self.sums = np.zeros(self.d_in)
        self.lowest = np.full(self.d_in, np.inf, np.float32)
        self.highest = np.full(self.d_in, -np.inf, np.float32)

    def add(self, rows: Shaped[np.ndarray, "rows d_in"]) -> None:
        """Rows have to be finite."""
        if not len(rows):
            return
        if self.n_rows < MAX_HASHED_ROWS:
            self.hashes.append(row_hashes(rows))
        values = rows.astype(np.float32)
        squares = np.einsum("rd,rd->r", values, values, dtype=np.float64)
        self.n_rows += len(values)
        self.sums += values.sum(axis=0, dtype=np.float64)
        self.sum_of_squares += float(squares.sum())
        np.minimum(self.lowest, values.min(axis=0), out=self.lowest)
        np.maximum(self.highest, values.max(axis=0), out=self.highest)
        least, greatest = np.sqrt(squares.min()), np.sqrt(squares.max())
        self.norms = (min(self.norms[0], float(least)), max(self.norms[1], float(greatest)))

    def report(self) -> list[str]:
        if not self.n_rows:
            return []
        mean = self.sums / self.n_rows
        mean_square = float(mean @ mean)
        mean_of_squares = self.sum_of_squares / self.n_rows
        variance = mean_of_squares - mean_square
        share = mean_square / mean_of_squares if mean_of_squares else 0.0
        # float16 rounds what was constant in float32: 1e-6 is far below any real spread.
        spread = self.highest - self.lowest
        constant = np.flatnonzero(spread <= 1e-6 * max(self.norms[1], 1e-30)).tolist()
        few = f"{constant[:MAX_LISTED]}{'…' if len(constant) > MAX_LISTED else ''}"
        hashes = np.sort(np.concatenate(self.hashes))
        n_again = int((np.diff(hashes) == 0).sum())
        return [
            f"norms       {self.norms[0]:.4g} to {self.norms[1]:.4g}",
            f"mean        ‖mean‖ = {np.sqrt(mean_square):.4g}, {share:.1%} of the energy",
            f"variance    {variance:.4g} (mean ‖x − mean‖²)",
            f"constant    {f'{len(constant)} coordinates: {few}' if constant else 'none'}",
            f"duplicates  {n_again:,} rows equal an earlier one (of {len(hashes):,} compared)",
        ]


def row_hashes(rows: Shaped[np.ndarray, "rows d_in"]) -> UInt64[np.ndarray, " rows"]:
    """64 bits a row; equal rows have equal ones, others hardly ever."""
    n_bytes = rows.shape[1] * rows.dtype.itemsize
    words = np.zeros((len(rows), -(-n_bytes // 8)), np.uint64)
    words.view(np.uint8)[:, :n_bytes] = np.ascontiguousarray(rows).view(np.uint8)
    words *= np.uint64(0x9E3779B97F4A7C15)
    words ^= words >> np.uint64(32)
    weights = np.random.default_rng(0).integers(2**63, size=words.shape[1], dtype=np.uint64)
    words *= weights * np.uint64(2) + np.uint64(1)
    return words.sum(axis=1, dtype=np.uint64)
