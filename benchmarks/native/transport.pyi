from picows import WSListener

class Counter(WSListener):
    @property
    def frames(self) -> int: ...
