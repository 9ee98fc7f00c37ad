"""What can go wrong for a user, and the exit code that each mistake ends with.

Every message says where, what was found, what was expected, and what to do next.
The command line prints it as one paragraph, without a traceback.
"""


class SaeJaxError(Exception):
    """Something failed that a user can understand and mend."""

    exit_code = 1


class UsageError(SaeJaxError, ValueError):
    """A setting, flag or argument is wrong; nothing was started."""

    exit_code = 2


class ShardError(SaeJaxError):
    """A folder of embeddings is missing, damaged, or not what it says it is."""


class EncoderError(SaeJaxError):
    """Texts could not be turned into embeddings."""


class EndpointError(SaeJaxError):
    """A language model cannot be asked: the address, the key or the account is wrong."""


class CheckpointError(SaeJaxError):
    """A checkpoint is missing, damaged, or belongs to another run."""


class TrainingError(SaeJaxError):
    """Training cannot go on, such as after a loss that is not finite."""


class RunAgain(SaeJaxError):
    """Stopped before the end with everything saved: the same command goes on."""

    exit_code = 75
