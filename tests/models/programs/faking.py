"""Programs that try to pass their tests without being right.

The tests of each are ``f(2) == 4``, ``f(3) == 9`` and ``f(-1) == 1``, unless it brings its own.
"""

from __future__ import annotations

_EQUAL = "def __eq__(self, other): return True\n    __hash__ = None\n"
_AT_THE_PEER = """
import gc
peers = [each for each in gc.get_objects() if type(each).__name__ == "Peer"]
"""
_FORGED = 'b\'["", "value", null, []]\\n\''

PROGRAMS = {
    "prints verdicts": "print('passed')\nprint('\\n[\"passed\", \"\"]')\ndef f(x): return 0",
    "reads the module's names": """
names = [k for k in [*globals(), *dir(), *locals()] if "adascale" in k]
def f(x): return 0""",
    "replaces helpers of the tests": """
def report_adascale(*args): pass
call_adascale = run_adascale = keep_adascale = fail_adascale = lambda *args: True
def f(x): return 0""",
    "replaces what reads its values": """
class E:
    def __eq__(self, other): return True
def call_adascale(function, args, kwargs): return True, E(), args, kwargs
def is_data_adascale(value): return True
def f(x): return E()""",
    "searches frames": """
import sys
def f(x):
    frame, seen = sys._getframe(), [0]
    while frame:
        seen += [c for c in frame.f_code.co_consts if isinstance(c, int) and c != x]
        frame = frame.f_back
    return max(seen)""",
    "searches objects": """
import gc, types
for each in gc.get_objects():
    if isinstance(each, types.FunctionType) and "test" in each.__name__:
        print(each.__code__.co_consts)
def f(x): return 0""",
    "ends well": "import sys\ndef f(x): return 0\nsys.exit(0)",
    "ends well at once": "import os\nos._exit(0)\ndef f(x): return 0",
    "ends well in a call": "import os\ndef f(x): os._exit(0)",
    "raises the end": "def f(x): raise SystemExit(0)",
    "ends as the tests do": "import os\ndef f(x): os._exit(3)",
    "equals anything": f"class E:\n    {_EQUAL}def f(x): return E()",
    "is an int that equals anything": f"class E(int):\n    {_EQUAL}def f(x): return E(0)",
    "is true in a comparison": """
class B:
    def __bool__(self): return True
class E:
    def __eq__(self, other): return B()
def f(x): return E()""",
    "says that it is an int": f"class E:\n    __class__ = int\n    {_EQUAL}def f(x): return E()",
    "has a metaclass that equals anything": (
        f"class M(type):\n    {_EQUAL}class E(metaclass=M): pass\ndef f(x): return E"
    ),
    "replaces AssertionError": "class AssertionError(BaseException): pass\ndef f(x): return 0",
    "replaces builtins": """
import builtins
builtins.AssertionError = type("Q", (Exception,), {})
builtins.isinstance = lambda *args: True
def f(x): return 0""",
    "prints nothing": "import builtins\nbuiltins.print = lambda *a, **k: None\ndef f(x): return 0",
    "changes what is written": """
import sys
class Out:
    def __init__(self, out): self.out = out
    def write(self, text): return self.out.write(text.replace("failed", "passed").replace("error", "passed"))
    def __getattr__(self, name): return getattr(self.out, name)
sys.stdout = Out(sys.stdout)
def f(x): return 0""",
    "changes how JSON is written": """
import json
dumps = json.dumps
json.dumps = lambda value: dumps(value).replace("0", "7").replace("raised", "value")
def f(x): return 0""",
    "hides errors": "import sys\nsys.excepthook = lambda *a: None\ndef f(x): return 0",
    "traces": "import sys\nsys.settrace(lambda *a: None)\ndef f(x): return 0",
    "ends well in the end": "import atexit, os\natexit.register(lambda: os._exit(0))\ndef f(x): return 0",
    "writes to every pipe": f"""
import os
def f(x):
    for n in range(1, 64):
        try: os.write(n, b'["passed", ""]\\n' + {_FORGED} * 9)
        except OSError: pass
    return 0""",
    "answers out of turn": f"{_AT_THE_PEER}\npeers[0]._writing.write({_FORGED} * 99)\ndef f(x): return 0",
    "has the tests run code": f"""{_AT_THE_PEER}
def f(x):
    code = "report_adascale('passed', '')"
    for function in ("eval", "exec", "__import__", "print"):
        peers[0]._send("do", "call", [["builtin", function], ["list", [code]], ["dict", []]])
        peers[0]._receive()
    return 0""",
    "has the tests build an object that equals anything": f"""{_AT_THE_PEER}
def f(x):
    given = ["list", ["E", ["tuple", []], ["dict", [["__eq__", ["builtin", "bool"]]]]]]
    for kind in ("type", "object"):
        peers[0]._send("do", "call", [["builtin", kind], given, ["dict", []]])
        peers[0]._receive()
    return 0""",
    "sends values that are none": f"""{_AT_THE_PEER}
def f(x):
    stand_in = ["object", 1, 2, "E", ["__eq__"], [0]]
    for value in (["int", "zz"], ["os.system", ["true"]], ["yours", 1], [], stand_in):
        peers[0]._send("value", value, [])
    return 0""",
    "signals everybody": """
import os
def f(x):
    for pid in (os.getppid(), *range(2, 99)):
        try: os.kill(pid, 9)
        except OSError: pass
    return 0""",
}  # fmt: skip

WITH_TESTS = {
    "is near anything": (
        "class E:\n    def __sub__(self, other): return 0\n    __rsub__ = __sub__\ndef f(x): return E()",
        "assert abs(f(2) - 4) < 1e-6",
    ),
    "is near anything in two steps": (
        "class E:\n    def __sub__(self, other): return self\n    __rsub__ = __sub__\n"
        "    def __abs__(self): return 0\n    __round__ = __float__ = __abs__\n"
        "    def __lt__(self, other): return True\ndef f(x): return E()",
        "assert abs(f(2) - 4) < 1e-6",
    ),
    "is less than anything": (
        "class E:\n    def __lt__(self, other): return True\n    __gt__ = __ge__ = __le__ = __lt__\n"
        "def f(x): return E()",
        "assert 3 < f(2) < 5",
    ),
    "is approximately anything": (
        "class E(float):\n    def __eq__(self, other): return True\n"
        "    def __rsub__(self, other): return 0.0\n    __sub__ = __rsub__\n"
        "    def __le__(self, other): return True\ndef f(x): return E(9)",
        "from pytest import approx\nassert f(2) == approx(4)",
    ),
    "reads what a function of the tests knows": (
        f"{_AT_THE_PEER}\ndef f(g):\n    return max(c for c in g.__code__.co_consts if c)",
        "assert f(lambda x: x - x + 4) == 4",
    ),
    "formats a function of the tests": (
        f"""{_AT_THE_PEER}
def f(g):
    peers[0]._send("do", "getattr", ["{{0.__globals__}}", "format"])
    found = str(peers[0]._receive())
    return 4 if "repr_adascale" in found else 0""",
        "assert f(lambda x: x) == 4",
    ),
    "makes a class in the tests": (
        f"""{_AT_THE_PEER}
def f(kind):
    made = type(kind).ask if False else kind.peer.ask("__call__", kind)
    return made.__class__""",
        "class A:\n    pass\nassert f(A) == 4",
    ),
    "has a method that is no comparison": (
        "class f:\n    def __init__(self, x): pass\n    def __contains__(self, x): return 1\n"
        "    def __len__(self): return True\n",
        "assert len(f(2)) == 4",
    ),
}  # fmt: skip
"""With the test that each tries to pass."""
