from enum import IntEnum

class FullLimit(IntEnum):
    FULL_PENDING_MAX = 1024
    FULL_PENDING_BYTES_MAX = 67108864
    FULL_LEVELS_MAX = 20000

class Splice: ...
