from ext.listener import Listener

class Calls:
    def __init__(self, listener: Listener) -> None: ...
