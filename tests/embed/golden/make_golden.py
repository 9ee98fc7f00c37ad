"""How the golden vectors were made, once, in an environment of its own:

    python -m venv golden-env
    golden-env/bin/pip install torch==2.13.0 sentence-transformers==6.2.0
    golden-env/bin/python make_golden.py FOLDER_OF_ALL_MINILM_L6_V2

It reads texts.json beside this file and writes vectors.npz: `vectors` float32 [24, 384],
`n_pieces` int64 [24]. Weights: sha256 53aa5117…8d9db. CPU, float32.
The texts are our own sentences, public-domain prose (Carroll, Darwin, Melville) and glosses
in the manner of a dictionary.
"""

import json
import pathlib
import sys

import numpy as np
from sentence_transformers import SentenceTransformer

here = pathlib.Path(__file__).parent
texts = json.loads((here / "texts.json").read_text(encoding="utf-8"))
model = SentenceTransformer(sys.argv[1], device="cpu")
assert model.max_seq_length == 256
vectors = model.encode(texts, convert_to_numpy=True, normalize_embeddings=False)
n_pieces = [int(model.tokenize([text])["input_ids"].shape[1]) for text in texts]
np.savez(here / "vectors.npz", vectors=vectors, n_pieces=np.array(n_pieces))
print(vectors.shape, vectors.dtype, n_pieces, np.linalg.norm(vectors, axis=1).round(6))
