"""Programs that try to leave a sandbox or to use it up.

``CANARY`` is a folder outside with the file ``SECRET`` in it, ``PORT`` a TCP port that is listened to,
``SOCKET`` a datagram socket in the file system, and ``PARENT`` the process that runs the tests.
"""

from __future__ import annotations

import platform

_CALL = """import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall({})
assert ctypes.get_errno() not in (1, 38)  # EPERM and ENOSYS"""

FILES = [
    "print(open('SECRET').read())",
    "print(open('../' * 20 + 'SECRET').read())",
    "print(open('/proc/1/root' + 'SECRET').read())",
    "open('SECRET', 'w').write('x')",
    "open('SECRET', 'a').write('x')",
    "open('CANARY/new', 'x')",
    "import os\nos.close(os.open('CANARY', os.O_RDWR | os.O_TMPFILE))",
    "import os\nos.truncate('SECRET', 0)",
    "import os\nos.remove('SECRET')",
    "import os\nos.rename('SECRET', 'SECRET.moved')",
    "import os\nos.link('SECRET', 'CANARY/link')",
    "import os\nos.symlink('SECRET', 'link')\nprint(open('link').read())",
    "import os\nos.symlink('/', 'out')\nos.chdir('out')\nprint(open('.' + 'SECRET').read())",
    "import os\nos.chmod('SECRET', 0o777)",
    "import os\nos.chown('SECRET', 1, 1)",
    "import os\nos.utime('SECRET', (0, 0))",
    "import os\nos.setxattr('SECRET', 'user.x', b'1')",
    "import os\nos.listdir('CANARY')",
    "import os\nos.mkdir('CANARY/new')",
    "import os, stat\nos.mknod('disk', stat.S_IFBLK | 0o600, os.makedev(254, 0))",
    "import os\nos.chroot('/')",
    "import os\nopen(os.__file__, 'a')",
    "open('/dev/shm/new', 'w')",
    "print(open('/etc/passwd').read())",
    "open('/dev/mem', 'rb')",
    "open('/proc/sys/kernel/hostname')",
]

PROCESSES = [
    "import os\nprint(os.environ['PATH'])",
    "print(open('/proc/self/environ', 'rb').read())",
    "print(open('/proc/PARENT/environ', 'rb').read())",
    "open('/proc/PARENT/mem', 'r+b')",
    "import os\nos.readlink('/proc/PARENT/cwd')",
    "import os, signal\nos.kill(PARENT, signal.SIGUSR1)",
    "import os, signal\nos.kill(os.getppid(), signal.SIGUSR1)",
    "import os\nos.kill(PARENT, 0)",
    "import os, signal\nsignal.pidfd_send_signal(os.pidfd_open(PARENT), signal.SIGUSR1)",
    "import fcntl, os\nfcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, PARENT)",
    "import fcntl, os\nfcntl.ioctl(os.pipe()[0], 0x8901, (PARENT).to_bytes(4, 'little'))",  # FIOSETOWN
    "import os\nos.fork()",
    "import os\nassert os.system('touch CANARY/new') == 0",
    "import subprocess\nsubprocess.run(['/bin/sh', '-c', 'touch CANARY/new'], check=True)",
    "import os\nos.execv('/bin/sh', ['sh', '-c', 'echo ESCAPED'])",
    "import os\nos.posix_spawn('/bin/sh', ['sh', '-c', 'sleep 4242'], {})",
    "import multiprocessing\np = multiprocessing.Process(target=print)\np.start()\np.join()",
    "import sys\nassert sys.stdin.read()",
    "import os\nfound = []\nfor n in range(3, 999):\n    try: found.append(os.fstat(n))\n"
    "    except OSError: pass\nassert len(found) > 3",  # the pipes between tests and program
]

NETWORK = [
    "import socket\nsocket.create_connection(('127.0.0.1', PORT), 1)",
    "import socket\nsocket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', PORT))",
    "import socket\nsocket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', 'SOCKET')",
    "import socket\nsocket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b'x', 'SOCKET')",
    "import socket\nsocket.create_server(('127.0.0.1', 0))",
    "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
    "import socket\nsocket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)",
    "import socket\nsocket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    "import socket\nsocket.getaddrinfo('example.org', 80)",
]

RIGHTS = [
    "import os\nos.setuid(0)",
    "import os\nos.setgroups([0])",
    "import os\nos.nice(-5)",
    "import os\nos.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))",
    "import os\nos.sched_setaffinity(0, {0})",
    "import resource as r\nr.setrlimit(r.RLIMIT_AS, (r.RLIM_INFINITY, r.RLIM_INFINITY))",
    "import resource as r\nr.prlimit(PARENT, r.RLIMIT_NOFILE, (9, 9))",
]

_MACHINE_CODE = """
import ctypes, mmap
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(bytes.fromhex("b814000000cd80c3"))  # mov eax, 20; int 0x80; ret: getpid of 32 bits
ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
"""

CALLS = [
    _CALL.format("319, b'name', 0"),  # memfd_create
    _CALL.format("304, -100, ctypes.create_string_buffer(64), 0"),  # open_by_handle_at
    _CALL.format("129, PARENT, 10, ctypes.create_string_buffer(128)"),  # rt_sigqueueinfo
    _CALL.format("101, 16, PARENT, 0, 0"),  # ptrace: attach
    _CALL.format("310, PARENT, 0, 0, 0, 0, 0"),  # process_vm_readv
    _CALL.format("165, b'none', b'/tmp', b'tmpfs', 0, 0"),  # mount
    _CALL.format("272, 0x10000000"),  # unshare: a user namespace
    _CALL.format("308, 0, 0x10000000"),  # setns
    _CALL.format("435, ctypes.create_string_buffer(88), 88"),  # clone3
    _CALL.format("57"),  # fork
    _CALL.format("425, 8, ctypes.create_string_buffer(120)"),  # io_uring_setup
    _CALL.format("321, 0, ctypes.create_string_buffer(72), 72"),  # bpf
    _CALL.format("298, ctypes.create_string_buffer(112), 0, -1, -1, 0"),  # perf_event_open
    _CALL.format("323, 1"),  # userfaultfd
    _CALL.format("157, 22, 0, 0, 0, 0"),  # prctl: no seccomp
    _CALL.format("135, 0x40000"),  # personality: no address space randomisation
    _CALL.format("240, b'queue', 0o102, 0o600, 0"),  # mq_open
    _CALL.format("0x40000000 + 41, 2, 1, 0"),  # socket, as x32 numbers it
    _MACHINE_CODE,
]
"""Numbers of x86_64."""

MEMORY = [
    "a = 'x'\nwhile True: a += a",
    "b = []\nwhile True: b.append(bytearray(1 << 20))",
    "b = []\nwhile True:\n    try: b.append(bytearray(1 << 20))\n    except MemoryError: 1 / 0",
    "d = {}\nfor i in range(10 ** 9): d[i] = bytes(i)",
    "import mmap\nm = mmap.mmap(-1, 1 << 30, flags=mmap.MAP_SHARED)",
    "import _thread\nlock = _thread.allocate_lock()\nlock.acquire()\n"
    "while True: _thread.start_new_thread(lock.acquire, ())",
]

ENDLESS = [
    "while True: pass",
    "import time\ntime.sleep(4242)",
    "import threading\nthreading.Thread(target=threading.Event().wait).start()",
    "import os\nos.read(os.pipe()[0], 1)",
    "import os\nos.close(1)\nos.close(2)\nwhile True: pass",
    "import signal\nfor n in {*range(1, 32)} - {9, 19}: signal.signal(n, signal.SIG_IGN)\nwhile True: pass",
    "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    "import atexit\n@atexit.register\ndef f():\n    while True: pass",
    "class C:\n    def __del__(self):\n        while True: pass\nC()",
    "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "import subprocess\nwhile True:\n    try: subprocess.Popen(['sleep', '4242'])\n    except OSError: pass",
    "import faulthandler\nfaulthandler.dump_traceback_later(0.1, repeat=True)\nwhile True: pass",
]

NOISY = "import sys\nwhile True: sys.stderr.write('x' * 1000)"

GREEDY = [
    "while True: print('x' * 1000)",
    "import os\nwhile True: os.write(1, b'x' * 65536)",
    "import os\nwhile True: os.write(2, os.urandom(1 << 16)) and print('x' * 1000)",
]

FAULTS = [
    "import os\nos.abort()",
    "import ctypes\nctypes.string_at(0)",
    "import sys\nsys.setrecursionlimit(10 ** 9)\nclass C:\n    def __str__(self): return str(self)\nstr(C())",
    "def f(n): return f(n + 1)\nf(0)",
    "(" * 10000 + ")" * 10000,
    "import signal\nsignal.raise_signal(signal.SIGKILL)",
    "import sys\nsys.exit('no')",
    "\0",
    "\ud800",
]

DISK = [
    "with open('f', 'wb') as f:\n    while True: f.write(bytes(1 << 20))",
    "for i in range(10 ** 6):\n    with open(f'f{i}', 'wb') as f: f.write(bytes(1 << 20))",
    "with open('f', 'wb') as f: f.truncate(10 ** 15)",
    "import os\nos.posix_fallocate(os.open('f', os.O_RDWR | os.O_CREAT), 0, 10 ** 12)",
    "open('/new', 'w')",
]

ESCAPES = [*FILES, *PROCESSES, *NETWORK, *RIGHTS, *(CALLS if platform.machine() == "x86_64" else ())]
BOMBS = [*MEMORY, *ENDLESS, NOISY, *GREEDY, *FAULTS, *DISK]
