"""How the exchange says no."""


class RefusedError(Exception):
    """A request that is not performed: the venue's retCode and retMsg."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message


PARAMETER = 10001
WINDOW = 10002
KEY_INVALID = 10003
SIGN_INVALID = 10004
PERMISSION = 10005
TOO_MANY = 10006
IP_UNBOUND = 10010
KEY_EXPIRED = 33004
