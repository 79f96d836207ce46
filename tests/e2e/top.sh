#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# top on a real terminal (a pseudo one): the screen shows the target, keys switch levels on and off and
# quit, the terminal is left as it was. Without a terminal it prints lines. The same at the prompt.
. "$(dirname "$0")/lib.sh"
need_bpf
command -v python3 >/dev/null || skip_unless_ci "needs the package python3"
fake=$BUILD/tests/fake/fake_engine
start "$fake" -d 10000000 -s 20000 -P 1000
engine=$PID
wait_for 10 grep -q libllama "/proc/$engine/maps"

cat >"$TMP/terminal.py" <<'PY'
"""Drives llmprobe top on a pseudo-terminal of 100 by 30 and says what was seen."""
import fcntl, os, pty, re, select, struct, sys, termios, time

command, env = sys.argv[1:], dict(os.environ, TERM="xterm", LINES="30", COLUMNS="100")
pid, fd = pty.fork()
if pid == 0:
    os.execve(command[0], command, env)
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
before = termios.tcgetattr(fd)
seen, screen = b"", [[" "] * 100 for _ in range(30)]
at = [0, 0]

def draw(data):
    """As much of a terminal as shows what is on it: cursor moves, erasing, text."""
    data = data.decode("utf-8", "replace")
    i = 0
    while i < len(data):
        m = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])").match(data, i)
        if m:
            n = [int(x) if x.isdigit() else 0 for x in m[1].split(";")]
            if m[2] == "H":
                at[0], at[1] = max((n + [0])[0], 1) - 1, max((n + [0, 0])[1], 1) - 1
            elif m[2] == "d":
                at[0] = max(n[0], 1) - 1
            elif m[2] == "G":
                at[1] = max(n[0], 1) - 1
            elif m[2] == "C":
                at[1] += max(n[0], 1)
            elif m[2] == "X":
                for k in range(at[1], min(at[1] + max(n[0], 1), 100)):
                    screen[at[0]][k] = " "
            elif m[2] == "K":
                for k in range(at[1], 100):
                    screen[at[0]][k] = " "
            elif m[2] == "J":
                for row in screen[at[0] + 1:] if n[0] == 0 else screen:
                    row[:] = " " * 100
            i = m.end()
            continue
        m = re.compile(r"\x1b[()][A-Z0-9]|\x1b[=>78]").match(data, i)
        if m:
            i = m.end()
            continue
        c = data[i]
        i += 1
        if c == "\r":
            at[1] = 0
        elif c == "\n":
            at[0] = min(at[0] + 1, 29)
        elif c == "\b":
            at[1] = max(at[1] - 1, 0)
        elif c >= " " and at[0] < 30 and at[1] < 100:
            screen[at[0]][at[1]] = c
            at[1] += 1

def text():
    return "\n".join("".join(row).rstrip() for row in screen)

def wait(pattern, seconds=20):
    global seen
    end = time.time() + seconds
    while not re.search(pattern, text()):
        if time.time() > end:
            print(text())
            sys.exit(f"never on the screen: {pattern}")
        if select.select([fd], [], [], 0.2)[0]:
            data = os.read(fd, 65536)
            seen += data
            draw(data)
    print("on the screen:", re.search(pattern, text())[0])

typed = command[1] == "-c"
if typed:
    wait(r"llmprobe>")
    os.write(fd, b"top\n")
wait(r"pid \d+")
wait(r"decode")
wait(r"MUL_MAT +.*\d %?")
wait(r"operator +on")
os.write(fd, b"o")
wait(r"operator +off")
os.write(fd, b"o")
wait(r"operator +on")
os.write(fd, b"s")
wait(r"scheduler +on")
if typed:
    # ^C ends the view and not the prompt.
    for end in b"q", b"\x03":
        screen[:] = [[" "] * 100 for _ in range(30)]
        os.write(fd, end)
        wait(r"llmprobe>")
        os.write(fd, b"top\n")
        wait(r"scheduler +on")
    os.write(fd, b"q")
    wait(r"llmprobe>")
    os.write(fd, b"quit\n")
else:
    os.write(fd, b"q")
end = time.time() + 10
while time.time() < end:
    try:
        if select.select([fd], [], [], 0.2)[0]:
            data = os.read(fd, 65536)
            if not data:
                break
            seen += data
    except OSError:
        break
_, status = os.waitpid(pid, 0)
print("exit", os.waitstatus_to_exitcode(status))
print("screen given back:", b"\x1b[?1049l" in seen)
PY
python3 "$TMP/terminal.py" "$LLMPROBE" top -p "$engine" >"$TMP/seen" 2>&1 || fail "$(cat "$TMP/seen")"
cat "$TMP/seen"
assert_match "quit with q" "$(cat "$TMP/seen")" '^exit 0'
assert_match "the terminal afterwards" "$(cat "$TMP/seen")" 'screen given back: True'
kill -0 "$engine" || fail "the target did not survive"

echo "-- at the prompt"
printf 'target: {pid: %d}\nlevels: {token: true, graph: true, operator: true}\n' "$engine" >"$TMP/c.yaml"
XDG_STATE_HOME=$TMP python3 "$TMP/terminal.py" "$LLMPROBE" -c "$TMP/c.yaml" >"$TMP/seen" 2>&1 ||
	fail "$(cat "$TMP/seen")"
cat "$TMP/seen"
assert_match "quit" "$(cat "$TMP/seen")" '^exit 0'
kill -0 "$engine" || fail "the target did not survive"

echo "-- without a terminal"
llmprobe top -p "$engine" --duration 3s >"$TMP/lines" </dev/null || fail "top"
cat "$TMP/lines"
assert_ge "lines" "$(wc -l <"$TMP/lines")" 2
assert_match "a line" "$(tail -1 "$TMP/lines")" 'decode.*tokens/s'
assert_eq "control characters" "$(grep -c $'\033' "$TMP/lines")" 0

echo "-- a terminal that nobody knows"
TERM=nonsense script -qec "$LLMPROBE top -p $engine --duration 2s" "$TMP/typescript" </dev/null >/dev/null ||
	fail "top: $(cat "$TMP/typescript")"
assert_match "lines" "$(cat "$TMP/typescript")" 'tokens/s [0-9]'
assert_match "and why" "$(cat "$TMP/typescript")" "terminal type 'nonsense' is not known"
