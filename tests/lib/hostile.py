"""Programs that try to leave a sandbox or to use it up, at every level that holds CPython.

``CANARY`` is a folder outside with the file ``SECRET`` in it, ``PORT`` a TCP and a UDP port that are
listened to, ``SOCKET`` a datagram socket in the file system, ``ABSTRACT`` a stream socket outside of it,
and ``PARENT`` the process that runs the tests.
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
    "print(open('/proc/self/root' + 'SECRET').read())",
    "open('SECRET', 'w').write('x')",
    "open('SECRET', 'a').write('x')",
    "open('CANARY/new', 'x')",
    "import os\nos.close(os.open('SECRET', os.O_RDONLY | os.O_TRUNC))",
    "import os\nos.close(os.open('CANARY', os.O_RDWR | os.O_TMPFILE))",
    "import os\nos.truncate('SECRET', 0)",
    "import os\nos.remove('SECRET')",
    "import os\nos.rename('SECRET', 'SECRET.moved')",
    "import os\nos.link('SECRET', 'CANARY/link')",
    "import os\nos.symlink('SECRET', 'CANARY/link')",
    "import os\nos.symlink('SECRET', 'link')\nprint(open('link').read())",
    "import os\nos.symlink('/', 'out')\nos.chdir('out')\nprint(open('.' + 'SECRET').read())",
    "import os\nos.chmod('SECRET', 0o777)",
    "import os\nos.chown('SECRET', 1, 1)",
    "import os\nos.utime('SECRET', (0, 0))",
    "import os\nos.setxattr('SECRET', 'user.x', b'1')",
    "import os\nos.listdir('CANARY')",
    "import os\nos.mkdir('CANARY/new')",
    "import os\nos.rmdir('CANARY/empty')",
    "import os\nos.mkfifo('CANARY/new')",
    "import os\nos.mknod('CANARY/new')",
    "import os, stat\nos.mknod('disk', stat.S_IFBLK | 0o600, os.makedev(254, 0))",
    "import os\nos.chroot('/')",
    "import os\nopen(os.__file__, 'a')",
    "import os\nos.remove(os.__file__)",
    "import os\nos.close(os.open(os.__file__, os.O_RDONLY | os.O_TRUNC))",
    "import os\nos.chmod(os.__file__, 0)",
    "import os\nos.mkdir(os.path.dirname(os.__file__) + '/new')",
    "import sqlite3\nsqlite3.connect('CANARY/new.db').execute('create table t (x)')",
    "import shelve\nshelve.open('CANARY/new')",
    "import logging\nlogging.FileHandler('CANARY/new.log')",
    "import shutil\nshutil.rmtree('CANARY')",
    "import shutil\nshutil.copy('SECRET', 'CANARY/new')",
    "import tempfile\ntempfile.NamedTemporaryFile(dir='CANARY', delete=False)",
    "import tempfile\ntempfile.NamedTemporaryFile(dir='/var/tmp', delete=False)",
    "open('/dev/shm/new', 'w')",
    "print(open('/etc/passwd').read())",
    "print(open('/etc/shadow').read())",
    "import pathlib\nlist(pathlib.Path('~').expanduser().iterdir())",
    "open('/dev/mem', 'rb')",
    "open('/dev/kmsg', 'w')",
    "open('/dev/tty', 'w')",
    "open('/sys/power/state')",
    "open('/proc/sys/kernel/hostname')",
]

PROCESSES = [
    "import os\nprint(os.environ['PATH'])",
    "print(open('/proc/self/environ', 'rb').read())",
    "print(open('/proc/PARENT/environ', 'rb').read())",
    "print(open('/proc/PARENT/cmdline', 'rb').read())",
    "open('/proc/PARENT/mem', 'r+b')",
    "open('/proc/PARENT/oom_score_adj', 'w').write('1000')",
    "import os\nos.listdir('/proc/PARENT/fd')",
    "import os\nos.readlink('/proc/PARENT/cwd')",
    "import os, signal\nos.kill(PARENT, signal.SIGUSR1)",
    "import os, signal\nos.kill(os.getppid(), signal.SIGUSR1)",
    "import os\nos.kill(PARENT, 0)",
    "import os\nos.kill(-1, 0)",
    "import os\nos.killpg(0, 0)",
    "import os, signal\nsignal.pidfd_send_signal(os.pidfd_open(PARENT), signal.SIGUSR1)",
    "import fcntl, os\nfcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, PARENT)",
    "import fcntl, os\nfcntl.fcntl(os.pipe()[0], 10, 9)",  # F_SETSIG
    "import fcntl, os\nfcntl.ioctl(os.pipe()[0], 0x8901, (PARENT).to_bytes(4, 'little'))",  # FIOSETOWN
    "import os\nos.fork()",
    "import os\nassert os.system('touch CANARY/new') == 0",
    "import os\nos.popen('touch CANARY/new').read()\nassert os.path.exists('CANARY/new')",
    "import subprocess\nsubprocess.run(['/bin/sh', '-c', 'touch CANARY/new'], check=True)",
    "import os\nos.execv('/bin/sh', ['sh', '-c', 'echo ESCAPED'])",
    "import os\nos.posix_spawn('/bin/sh', ['sh', '-c', 'sleep 4242'], {})",
    "import multiprocessing\np = multiprocessing.Process(target=print)\np.start()\np.join()",
    "import concurrent.futures as c\nwith c.ProcessPoolExecutor(1) as p: print(p.submit(abs, 1).result())",
    "import pty\npty.spawn('/bin/sh')",
    "import os\nos.write(0, b'x')",
    "import sys\nassert sys.stdin.read()",
    "import os\nos.lseek(0, 0, 0)\nassert os.read(0, 100)",
    "import os\nfor n in range(3, 999):\n    try: os.fstat(n)\n    except OSError: continue\n"
    "    break\nelse: 1 / 0",
]

NETWORK = [
    "import socket\nsocket.create_connection(('127.0.0.1', PORT), 1)",
    "import socket\nsocket.create_connection(('1.1.1.1', 53), 1)",
    "import socket\nsocket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', PORT))",
    "import socket\nsocket.socket(socket.AF_INET6).connect(('::1', PORT))",
    "import socket\nsocket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', 'SOCKET')",
    "import socket\nsocket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b'x', 'SOCKET')",
    "import socket\nsocket.socketpair()[0].sendto(b'x', 'SOCKET')",
    "import socket\nsocket.socket(socket.AF_UNIX).connect('\\0ABSTRACT')",
    "import socket\nsocket.create_server(('127.0.0.1', 0))",
    "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
    "import socket\nsocket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)",
    "import socket\nsocket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    "import socket\nsocket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)",
    "import socket\nsocket.getaddrinfo('example.org', 80)",
    "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:PORT', timeout=1)",
    "import http.server\nhttp.server.HTTPServer(('', 0), None)",
]

RIGHTS = [
    "import os\nos.setuid(0)",
    "import os\nos.setresuid(0, 0, 0)",
    "import os\nos.setgid(0)",
    "import os\nos.setgroups([0])",
    "import os\nos.nice(-5)",
    "import os\nos.setpriority(os.PRIO_PROCESS, 0, -5)",
    "import os\nos.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))",
    "import os\nos.sched_setaffinity(0, {0})",
    "import resource as r\nr.setrlimit(r.RLIMIT_AS, (r.RLIM_INFINITY, r.RLIM_INFINITY))",
    "import resource as r\nr.prlimit(PARENT, r.RLIMIT_NOFILE, (9, 9))",
    "import socket\nsocket.sethostname(socket.gethostname())",
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
    _CALL.format("101, 0, 0, 0, 0"),  # ptrace: trace me
    _CALL.format("310, PARENT, 0, 0, 0, 0, 0"),  # process_vm_readv
    _CALL.format("165, b'none', b'/tmp', b'tmpfs', 0, 0"),  # mount
    _CALL.format("166, b'/usr', 2"),  # umount2
    _CALL.format("155, b'.', b'.'"),  # pivot_root
    _CALL.format("272, 0x10000000"),  # unshare: a user namespace
    _CALL.format("272, 0x20000"),  # unshare: a mount namespace
    _CALL.format("308, 0, 0x10000000"),  # setns
    _CALL.format("56, 0x10000011, 0, 0, 0, 0"),  # clone: a process in a user namespace
    _CALL.format("435, ctypes.create_string_buffer(88), 88"),  # clone3
    _CALL.format("57"),  # fork
    _CALL.format("58"),  # vfork
    _CALL.format("425, 8, ctypes.create_string_buffer(120)"),  # io_uring_setup
    _CALL.format("321, 0, ctypes.create_string_buffer(72), 72"),  # bpf
    _CALL.format("298, ctypes.create_string_buffer(112), 0, -1, -1, 0"),  # perf_event_open
    _CALL.format("323, 1"),  # userfaultfd
    _CALL.format("250, 0, -3, 0, 0, 0"),  # keyctl
    _CALL.format("157, 4, 1, 0, 0, 0"),  # prctl: PR_SET_DUMPABLE
    _CALL.format("157, 22, 0, 0, 0, 0"),  # prctl: no seccomp
    _CALL.format("135, 0x40000"),  # personality: no address space randomisation
    _CALL.format("29, 0, 4096, 0o1777"),  # shmget
    _CALL.format("240, b'queue', 0o102, 0o600, 0"),  # mq_open
    _CALL.format("0x40000000 + 41, 2, 1, 0"),  # socket, as x32 numbers it
    _CALL.format("103, 2, 0, 0"),  # syslog
    _CALL.format("173, 0, 1, 1"),  # ioperm
    _MACHINE_CODE,
]
"""Numbers of x86_64."""

MEMORY = [
    "b = bytearray(10 ** 10)",
    "a = 'x'\nwhile True: a += a",
    "b = []\nwhile True: b.append(bytearray(1 << 20))",
    "b = []\nwhile True:\n    try: b.append(bytearray(1 << 20))\n    except MemoryError: 1 / 0",
    "d = {}\nfor i in range(10 ** 9): d[i] = bytes(i)",
    "1 << 10 ** 10",
    "import mmap\nm = mmap.mmap(-1, 1 << 30, flags=mmap.MAP_SHARED)",
    "import mmap\nm = [mmap.mmap(-1, 1 << 24) for i in range(1000)]",
    "import ctypes\nb = []\nwhile True: b.append(ctypes.create_string_buffer(1 << 20))",
    "import threading as t\nwhile True: t.Thread(target=t.Event().wait, daemon=True).start()",
]

ENDLESS = [
    "while True: pass",
    "sum(range(10 ** 12))",
    "import time\ntime.sleep(4242)",
    "import threading\nthreading.Event().wait()",
    "import threading\nthreading.Thread(target=threading.Event().wait).start()",
    "import select\nselect.select([], [], [])",
    "import os\nos.read(os.pipe()[0], 1)",
    "import os\nos.write(os.pipe()[1], bytes(1 << 20))",
    "import os\nos.close(1)\nos.close(2)\nwhile True: pass",
    "import sys\nsys.stdout.close()\nwhile True: pass",
    "import sys\nwhile True: sys.stderr.write('x' * 1000)",
    "import signal\nfor n in {*range(1, 32)} - {9, 19}: signal.signal(n, signal.SIG_IGN)\nwhile True: pass",
    "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass",
    "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    "import atexit\n@atexit.register\ndef f():\n    while True: pass",
    "class C:\n    def __del__(self):\n        while True: pass\nC()",
    "import re\nre.match(r'(a+)+$', 'a' * 40 + 'b')",
    "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "import subprocess\nwhile True:\n    try: subprocess.Popen(['sleep', '4242'])\n    except OSError: pass",
    "import asyncio\nasync def f(): await asyncio.Event().wait()\nasyncio.run(f())",
    "import os\nwhile True: os.listdir('/usr')",
    "import faulthandler\nfaulthandler.dump_traceback_later(0.1, repeat=True)\nwhile True: pass",
]

GREEDY = [
    "while True: print('x' * 1000)",
    "for i in range(10 ** 9): print(i)",
    "print('x' * 10 ** 7)",
    "import sys\nwhile True: sys.stdout.buffer.write(b'\\xff' * 1000)",
    "import os\nwhile True: os.write(1, b'x' * 65536)",
    "import os\nwhile True: os.write(2, os.urandom(1 << 16)) and print('x' * 1000)",
]

FAULTS = [
    "import os\nos.abort()",
    "import os\nos._exit(1)",
    "import ctypes\nctypes.string_at(0)",
    "import faulthandler\nfaulthandler.dump_traceback_later(0.1, exit=True)\nwhile True: pass",
    "import sys\nsys.setrecursionlimit(10 ** 9)\nclass C:\n    def __str__(self): return str(self)\nstr(C())",
    "def f(n): return f(n + 1)\nf(0)",
    "(" * 10000 + ")" * 10000,
    "eval('+'.join('1' * 10 ** 6))",
    "import signal\nsignal.alarm(1)\nsignal.pause()",
    "import signal\nsignal.raise_signal(signal.SIGKILL)",
    "import sys\nsys.exit('no')",
    "raise KeyboardInterrupt",
    "\0",
    "\ud800",
]

DISK = [
    "with open('f', 'wb') as f:\n    while True: f.write(bytes(1 << 20))",
    "for i in range(10 ** 6):\n    with open(f'f{i}', 'wb') as f: f.write(bytes(1 << 20))",
    "import os\nos.truncate('f', 10 ** 15)",
    "with open('f', 'wb') as f: f.truncate(10 ** 15)",
    "import os\nos.posix_fallocate(os.open('f', os.O_RDWR | os.O_CREAT), 0, 10 ** 12)",
    "open('/new', 'w')",
    "open('/dev/new', 'w')",
    "open('/usr/new', 'w')",
]

ESCAPES = [*FILES, *PROCESSES, *NETWORK, *RIGHTS, *(CALLS if platform.machine() == "x86_64" else ())]
HOSTILE = [*ESCAPES, *MEMORY, *ENDLESS, *GREEDY, *FAULTS, *DISK]
