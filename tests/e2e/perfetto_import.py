#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Imports a Perfetto trace as strictly as a trace processor does and compares it with its run.

    perfetto_import.py TRACE [RUN [LEVEL...]]

TRACE is decoded by protoc with the tests' own .proto, RUN is the SQLite file; without it only the trace is
looked at. Everything a trace
processor counts as an import error fails here: packets that rely on state that was never sent,
unknown tracks, strings and clocks, events without a time, ends without a begin, slices left open,
slices that do not nest, counters on tracks of slices and the other way round, threads described twice
or of two processes, CPU switches whose two sides do not fit, states that no kernel has, and tasks on
two CPUs at once. Then every slice, counter value and scheduler row is held against the run's rows, by
times and names, one for one. Prints what was compared.
"""
import collections
import os
import re
import sqlite3
import subprocess
import sys
import zlib

PROTO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "proto")
PACKET, COMPRESSED = 1 << 3 | 2, 50 << 3 | 2

MONOTONIC, BOOTTIME = 3, 6
EVENT_TYPES = ("SLICE_BEGIN", "SLICE_END", "INSTANT", "COUNTER")
# Running, asleep, in the disk's hands, stopped, traced, dead, zombie, parked, idle.
TASK_STATES = {0, 1, 2, 4, 8, 0x10, 0x20, 0x40, 0x80}
MAX_CPUS = 1024
STATE_CLEARED, NEEDS_STATE = 1, 2
UNTRACED = 2000000000

errors = collections.Counter()
examples = {}


def error(what, *details):
    errors[what] += 1
    examples.setdefault(what, details)


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def unpacked(data):
    """The packets of the file without the compressed ones around them."""
    at, out = 0, []
    while at < len(data):
        start = at
        key, at = varint(data, at)
        length, at = varint(data, at)
        end = at + length
        if key != PACKET or end > len(data):
            error("file that is not made of whole packets", start)
            break
        inner, body = varint(data, at)
        if inner == COMPRESSED:
            length, body = varint(data, body)
            plain = zlib.decompress(data[body:body + length])
            if len(plain) > 512 * 1024:
                error("compressed packet that unpacks to more than 512 KiB", len(plain))
            out.append(plain)
        else:
            out.append(data[start:end])
        at = end
    return b"".join(out)


def decode(path):
    with open(path, "rb") as f:
        packets = unpacked(f.read())
    command = ["protoc", "--proto_path", PROTO, "--decode=llmprobe.perfetto.Trace", "perfetto.proto"]
    text = subprocess.run(command, input=packets, stdout=subprocess.PIPE, check=True).stdout
    return text.decode("latin-1").splitlines()


def parse(lines):
    """protoc's text as nested dicts of lists, packet by packet."""
    stack = [collections.defaultdict(list)]
    escape = re.compile(rb"\\([0-7]{3}|.)")
    plain = {b"n": b"\n", b"t": b"\t", b"r": b"\r"}
    for line in lines:
        line = line.strip()
        if line.endswith("{"):
            message = collections.defaultdict(list)
            stack[-1][line[:-2]].append(message)
            stack.append(message)
        elif line == "}":
            stack.pop()
            if len(stack) == 1:
                yield stack[0].pop("packet")[0]
        elif line:
            key, value = line.split(": ", 1)
            if value[0] == '"':
                raw = escape.sub(
                    lambda m: bytes([int(m[1], 8)]) if len(m[1]) == 3 else plain.get(m[1], m[1]),
                    value[1:-1].encode("latin-1"))
                value = raw.decode("utf-8")
            elif value.lstrip("-").isdigit():
                value = int(value)
            if key.isdigit():
                error("field that the .proto does not have", line)
            stack[-1][key].append(value)


def one(message, key, default=None):
    values = message.get(key) or [default]
    return values[0]


class Trace:
    def __init__(self):
        self.tracks = {}
        self.processes = {}  # pid: name
        self.threads = {}  # tid: pid
        self.described = set()  # pids and tids with a track of their own
        self.first_seen = False
        self.events = []  # (BOOTTIME ns, order in the file, kind, what)
        self.switches = collections.defaultdict(list)
        self.strings = collections.defaultdict(dict)
        self.cleared = False
        self.default_clock = BOOTTIME
        self.offset = None  # BOOTTIME - MONOTONIC

    def boottime(self, ts, clock):
        if clock == BOOTTIME:
            return ts
        if clock != MONOTONIC or self.offset is None:
            error("timestamp of a clock that no snapshot has", clock)
            return ts
        return ts + self.offset

    def string(self, table, iid, direct):
        if iid is None:
            return direct
        if iid not in self.strings[table]:
            error("string that was never sent", table, iid)
        return self.strings[table].get(iid)

    def state(self, p):
        flags = one(p, "sequence_flags", 0)
        if not one(p, "trusted_packet_sequence_id"):
            error("packet without a sequence")
        if one(p, "first_packet_on_sequence"):
            if self.first_seen:
                error("sequence begun twice")
            self.first_seen = True
        if flags & STATE_CLEARED:
            self.cleared = True
            self.strings.clear()
            defaults = one(p, "trace_packet_defaults", {})
            self.default_clock = one(defaults, "timestamp_clock_id", BOOTTIME)
        if flags & NEEDS_STATE and not self.cleared:
            error("packet needs state that was never sent")
        interned = one(p, "interned_data")
        if interned is None:
            return
        if not flags & NEEDS_STATE:
            error("strings sent without their state")
        for table, entries in interned.items():
            for e in entries:
                iid = one(e, "iid")
                if not iid or one(e, "value") is None:
                    error("string without a number or a text", table, iid)
                if self.strings[table].get(iid, one(e, "value")) != one(e, "value"):
                    error("string number used twice", table, iid)
                self.strings[table][iid] = one(e, "value")

    def snapshot(self, s):
        clocks = {one(c, "clock_id"): one(c, "timestamp") for c in s["clocks"]}
        if one(s, "primary_trace_clock") != BOOTTIME or not {MONOTONIC, BOOTTIME} <= set(clocks):
            error("clock snapshot without both clocks", clocks)
        self.offset = clocks[BOOTTIME] - clocks[MONOTONIC]

    def descriptor(self, d):
        uuid, parent = one(d, "uuid"), one(d, "parent_uuid")
        if not uuid:
            error("track without a number", d)
        if uuid in self.tracks:
            error("track described twice", uuid)
        if parent is not None and parent not in self.tracks:
            error("track below an unknown one", uuid, parent)
        thread, process = one(d, "thread"), one(d, "process")
        if thread is not None:
            if parent is not None:
                error("thread track below another", uuid)
            self.owner("tid", one(thread, "tid"))
            self.thread(one(thread, "tid"), one(thread, "pid"))
        elif process is not None:
            self.owner("pid", one(process, "pid"))
        elif not one(d, "name"):
            error("track without a name", uuid)
        self.tracks[uuid] = d

    def owner(self, kind, number):
        if not number or (kind, number) in self.described:
            error("process or thread without a number, or with two tracks", kind, number)
        self.described.add((kind, number))

    def thread(self, tid, pid):
        if not tid or not pid or self.threads.setdefault(tid, pid) != pid:
            error("thread without its process, or of two", tid, pid)

    def process_tree(self, tree):
        for process in tree["processes"]:
            if not process.get("cmdline"):
                error("process without a command", one(process, "pid"))
            self.processes[one(process, "pid")] = " ".join(process["cmdline"])
        for thread in tree["threads"]:
            self.thread(one(thread, "tid"), one(thread, "tgid"))

    def track_event(self, p, e, order):
        flags = one(p, "sequence_flags", 0)
        uuid = one(e, "track_uuid")
        if not flags & NEEDS_STATE:
            error("event without its sequence's state")
        if uuid not in self.tracks:
            error("event on an unknown track", uuid)
            return
        kind = one(e, "type")
        if kind not in EVENT_TYPES or one(p, "timestamp") is None:
            error("event without a type or a time", uuid)
            return
        if (kind == "COUNTER") != ("counter" in self.tracks[uuid]):
            error("counter among slices or slice among counters", uuid)
        if (kind == "COUNTER") != ("double_counter_value" in e):
            error("counter without a value or value without a counter", uuid)
        clock = one(p, "timestamp_clock_id", self.default_clock)
        what = {
            "track": uuid,
            "name": self.string("event_names", one(e, "name_iid"), one(e, "name")),
            "category": self.string("event_categories", one(e, "category_iids"), None),
            "flows": e.get("flow_ids", []),
            "value": one(e, "double_counter_value"),
            "args": {},
        }
        for a in e.get("debug_annotations", []):
            key = self.string("debug_annotation_names", one(a, "name_iid"), None)
            text = self.string("debug_annotation_string_values", one(a, "string_value_iid"),
                               one(a, "string_value"))
            what["args"][key] = one(a, "int_value") if text is None else text
        self.events.append((self.boottime(one(p, "timestamp"), clock), order, kind, what))

    def bundle(self, b, order):
        cpu = one(b, "cpu")
        if cpu is None or cpu >= MAX_CPUS:
            error("bundle of no CPU", cpu)
            return
        for e in b["event"]:
            if not one(e, "timestamp") or one(e, "pid") is None:
                error("kernel event without a time or a task", cpu)
                continue
            if "sched_switch" in e:
                self.switches[cpu].append((one(e, "timestamp"), order, len(self.switches[cpu]),
                                           one(e, "pid"), one(e, "sched_switch")))

    def read(self, packets):
        for order, p in enumerate(packets):
            self.state(p)
            for key, take in (("clock_snapshot", self.snapshot), ("track_descriptor", self.descriptor),
                              ("process_tree", self.process_tree)):
                if key in p:
                    take(one(p, key))
            if "track_event" in p:
                self.track_event(p, one(p, "track_event"), order)
            if "ftrace_events" in p:
                self.bundle(one(p, "ftrace_events"), order)


def slices_of(trace):
    """Begins and ends matched per track in order of time, ties as they stand in the file."""
    stacks, done = collections.defaultdict(list), []
    for ts, _, kind, what in sorted(trace.events, key=lambda e: e[:2]):
        stack = stacks[what["track"]]
        if kind == "SLICE_BEGIN":
            if stack:
                error("slice begins inside another of its track", what["name"])
            stack.append((ts, what))
        elif kind == "SLICE_END":
            if not stack:
                error("end without a begin", ts)
                continue
            begin, what = stack.pop()
            done.append((begin, ts, what))
    for stack in stacks.values():
        for _, what in stack:
            error("slice without an end", what["name"])
    return done


def sched_of(trace):
    """What ran on each CPU, as (cpu, begin, end, tid, comm, state at the end)."""
    rows = []
    for cpu, switches in trace.switches.items():
        last = None
        for ts, _, _, pid, s in sorted(switches, key=lambda e: e[:3]):
            if one(s, "prev_state") not in TASK_STATES:
                error("state that no kernel has", one(s, "prev_state"))
            if pid != one(s, "prev_pid"):
                error("switch recorded by another task than the one that leaves", pid)
            if last is not None:
                if last[1] != one(s, "prev_pid"):
                    error("switch from a task that was not on the CPU", cpu, ts)
                if last[1] != one(s, "next_pid") or last[1] < UNTRACED:
                    rows.append((cpu, last[0], ts, last[1], last[2], one(s, "prev_state")))
            last = (ts, one(s, "next_pid"), one(s, "next_comm"))
    return rows


def on_two_cpus(rows):
    """Every task but the idle ones, of which each CPU has its own, runs in one place at a time."""
    tasks = collections.defaultdict(list)
    for cpu, begin, end, tid, _, _ in rows:
        if tid:
            tasks[tid].append((begin, end, cpu))
    for tid, ran in tasks.items():
        ran.sort()
        for a, b in zip(ran, ran[1:]):
            if b[0] < a[1]:
                error("task on two CPUs at once", tid, a, b)


def compare(what, got, wanted):
    got, wanted = collections.Counter(got), collections.Counter(wanted)
    if got != wanted:
        missing, extra = wanted - got, got - wanted
        error(what, f"missing {sum(missing.values())}: {list(missing)[:3]}",
              f"too many {sum(extra.values())}: {list(extra)[:3]}")
    print(f"{what}: {sum(wanted.values())} equal")


def main():
    trace = Trace()
    trace.read(parse(decode(sys.argv[1])))
    slices, ran = slices_of(trace), sched_of(trace)
    on_two_cpus(ran)
    print(f"{len(slices)} slices, {len(ran)} times on a CPU")
    if len(sys.argv) > 2:
        compare_with_run(trace, slices, ran)
    for what, n in errors.items():
        print(f"ERROR: {what}: {n} times, for example {examples[what]}")
    return 1 if errors else 0


def compare_with_run(trace, slices, ran):
    db = sqlite3.connect(f"file:{sys.argv[2]}?mode=ro", uri=True)
    levels = set(sys.argv[3:]) or {"token", "graph", "operator", "call", "scheduler", "counters"}
    shift = db.execute("SELECT CAST(value AS INTEGER) FROM run WHERE key = 'boot_offset_ns'")
    shift = (shift.fetchone() or (0,))[0]
    if trace.offset != shift:
        error("clock snapshot", trace.offset, shift)
    compare("threads and their processes", [(t, p) for t, p in trace.threads.items()],
            db.execute("SELECT tid, ifnull(pid, tid) FROM thread"))

    def of(category, arg):
        return [(e["args"][arg], b - shift, t - shift) for b, t, e in slices if e["category"] == category]

    def rows(sql):
        return [r[0] if len(r) == 1 else r for r in db.execute(sql)]

    last = "(SELECT max(e) FROM (SELECT max(end_ns) e FROM token UNION SELECT max(end_ns) FROM graph))"
    for level in ("token", "graph", "call"):
        if level in levels:
            compare(level + " slices", of(level, "row"),
                    rows(f"SELECT id, begin_ns, ifnull(end_ns, {last}) FROM {level}"))
    if "graph" in levels:
        compare("device slices", of("device", "row"),
                rows("""SELECT graph_id, submit_ns, end_ns FROM graph_async
                    JOIN graph ON id = graph_id"""))
    if "operator" in levels:
        ops = {e["args"]["op_row"]: (trace.tracks[e["track"]], e, b, t)
               for b, t, e in slices if "op_row" in e["args"]}
        compare("operator slices", [(i, b - shift, t - shift) for i, (_, _, b, t) in ops.items()],
                rows("SELECT id, begin_ns, end_ns FROM op"))
        compare("operator names", [(i, e["name"], e["category"]) for i, (_, e, _, _) in ops.items()],
                rows("""SELECT o.id, ifnull(nullif(t.name, ''), t.op), t.op FROM op o
                    JOIN tensor t ON t.id = o.tensor_id"""))
        compare("barrier waits", [(b - shift, t - shift) for b, t, e in slices if e["category"] == "wait"],
                rows("SELECT end_ns, end_ns + wait_ns FROM op WHERE wait_ns > 0"))
        compare("threads of operators", {(i, one(one(d, "thread", {}), "tid"))
                                         for i, (d, _, _, _) in ops.items() if "thread" in d},
                {r for r in rows("SELECT id, tid FROM op") if "thread" in ops[r[0]][0]})
    if "counters" in levels:
        tids = {uuid: one(one(d, "thread", {}), "tid") for uuid, d in trace.tracks.items()}
        values = []
        for ts, _, kind, e in trace.events:
            d = trace.tracks[e["track"]]
            if kind == "COUNTER" and one(one(d, "counter"), "unit_name") == "per operator":
                values.append((one(d, "name"), tids[one(d, "parent_uuid")], ts - shift, e["value"]))
        compare("counter values", values,
                [r[:3] + (float(r[3]),) for r in
                 rows("""SELECT c.name, o.tid, o.begin_ns, c.value FROM counter c
                    JOIN op o ON o.id = c.op_id""")] +
                rows("""SELECT c.name, o.tid, o.end_ns, 0.0 FROM counter c
                    JOIN op o ON o.id = c.op_id"""))
    if "scheduler" in levels:
        targets = set(rows("SELECT tid FROM thread"))
        compare("scheduler rows", [(c, b - shift, t - shift, tid) for c, b, t, tid, _, _ in ran
                                   if tid in targets and t > b],
                rows("""SELECT cpu, begin_ns, end_ns, tid FROM sched
                    WHERE state = 'running' AND cpu IS NOT NULL AND end_ns > begin_ns"""))
    if {"token", "graph", "operator"} <= levels:
        flows = collections.defaultdict(list)
        for _, _, kind, e in sorted(trace.events, key=lambda e: e[:2]):
            for f in e["flows"]:
                flows[f].append(e["category"])
        arrows = [tuple(sorted({"token", "graph"} & set(f))) + (len(f),) for f in flows.values() if len(f) > 1]
        compare("arrows from token to graph", [a for a in arrows if a[:2] == ("graph", "token")],
                [("graph", "token", 1 + n) for n in
                 rows("SELECT count(*) FROM graph WHERE token_id IS NOT NULL GROUP BY token_id")])
        compare("arrows from graph to worker", [1 for f in flows.values() if "token" not in f and len(f) > 1],
                rows("SELECT 1 FROM op WHERE graph_id IS NOT NULL GROUP BY graph_id, thread_index"))


sys.exit(main())
