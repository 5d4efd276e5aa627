from enum import IntEnum

class AuditLimit(IntEnum):
    AUDIT_MESSAGES_MAX = 256

class Audit: ...
