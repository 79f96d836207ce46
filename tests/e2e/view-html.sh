#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The page in a real browser: every chart draws, filtering, sorting, pointing and keys work, nothing
# is written to the console, nothing is fetched.
. "$(dirname "$0")/lib.sh"

need_build
browser=
for name in chromium chromium-browser google-chrome; do
	command -v $name >/dev/null && browser=$name && break
done
# Ubuntu has browsers as snaps only.
[ -n "$browser" ] || apt-cache show --no-all-versions chromium 2>/dev/null | grep -q '^Package:' ||
	skip "this distribution has no package with a browser"
[ -n "$browser" ] || skip_unless_ci "needs the package chromium"

"$BUILD/tests/run_make" --layers 3 --prompt 16 --decodes 200 --threads 4 --moe --sched --counters \
	"$TMP/a.llmp.spool" >/dev/null || fail "run_make"
"$BUILD/tests/run_make" --layers 3 --prompt 16 --decodes 200 --threads 4 --moe --slow 20 \
	"$TMP/b.llmp.spool" >/dev/null || fail "run_make"
expect_exit 0 export "$TMP/a.llmp"
expect_exit 0 export "$TMP/b.llmp"
expect_exit 0 html -o "$TMP/one.html" "$TMP/a.llmp"
expect_exit 0 html -o "$TMP/two.html" "$TMP/a.llmp" "$TMP/b.llmp"
expect_exit 1 html -o "$TMP/one.html" "$TMP/a.llmp"

# What a user does, done by the page itself; the answers end up in an element of their own.
cat >"$TMP/act.js" <<'SCRIPT'
<script>
const answers = {};
window.addEventListener("load", () => setTimeout(() => {
  const rows = () => document.querySelectorAll("#operators tbody tr").length;
  answers.charts = document.querySelectorAll(".chart canvas").length;
  answers.drawn = [...document.querySelectorAll(".chart canvas, .strips canvas, #experts canvas")].filter(c => {
    const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
    for (let i = 0; i < d.length; i += 4) if (d[i + 3] && (d[i] !== d[i + 1] || d[i + 1] !== d[i + 2])) return true;
    return false;
  }).length;
  answers.rows = rows();
  answers.nodes = document.querySelectorAll("#graph g.node").length;
  const strip = document.querySelector(".strips canvas");
  strip.dispatchEvent(new PointerEvent("pointermove", {clientX: strip.getBoundingClientRect().left + 100, clientY: strip.getBoundingClientRect().top + 55}));
  answers.readout = document.querySelector("#strip .readout").textContent;
  for (let i = 0; i < 40; i++) strip.dispatchEvent(new KeyboardEvent("keydown", {key: "+"}));
  answers.close = document.querySelector("#strip .readout").textContent;
  const heat = document.querySelector("#experts canvas");
  for (const key of ["ArrowRight", "ArrowDown"]) heat?.dispatchEvent(new KeyboardEvent("keydown", {key}));
  answers.expert = heat?.parentElement.nextElementSibling.textContent;
  answers.figures = run.figures.map(f => [f[0], f[4]]);
  document.querySelector(".chart summary").click();
  answers.elements = document.querySelectorAll("*").length;
  answers.unnamed = [...document.querySelectorAll("button, input, select, canvas, [role=img], [role=region]")].filter(e =>
    !(e.textContent.trim() || e.getAttribute("aria-label") || e.labels && e.labels.length || e.closest("[role=img]"))).length;
  answers.ids = [...document.querySelectorAll("[id]")].map(e => e.id).filter((id, i, all) => all.indexOf(id) !== i && !id.startsWith("a_")).length;
  const chart = document.querySelector(".chart .u-over"), at = chart.getBoundingClientRect();
  chart.dispatchEvent(new MouseEvent("mousemove", {clientX: at.left + at.width / 2, clientY: at.top + 20, bubbles: true}));
  const scatter = [...document.querySelectorAll(".chart")].find(c => c.textContent.includes("Matrix products")), over = scatter.querySelector(".u-over"), box = over.getBoundingClientRect();
  answers.line = scatter.querySelector(":scope > p").textContent;
  over.dispatchEvent(new MouseEvent("mousemove", {clientX: box.left + box.width - 10, clientY: box.top + 20, bubbles: true}));
  answers.counted = [...document.querySelectorAll('#operators th[data-key^="counter "]')].map(h => h.dataset.key.slice(8)).sort().join(",");
  const node = document.querySelector("#graph g.node");
  node.dispatchEvent(new PointerEvent("pointerenter"));
  answers.tip = document.querySelector("#graph .tip").textContent.length > 0;
  const graph = document.querySelector("#graph .graph");
  node.dispatchEvent(new PointerEvent("pointerleave"));
  document.querySelector("#graph .tip").textContent = "";
  graph.dispatchEvent(new KeyboardEvent("keydown", {key: "n"}));
  const first = document.querySelector("#graph .tip").textContent;
  graph.dispatchEvent(new KeyboardEvent("keydown", {key: "n"}));
  answers.walked = first.length > 0 && document.querySelector("#graph .tip").textContent !== first && document.querySelectorAll("#graph g.at").length === 1;
  answers.marks = document.querySelectorAll("#report pre b").length;
  answers.judged = Object.fromEntries([...document.querySelectorAll("#diff tbody tr")].map((r, i) => [r.cells[0].textContent, r.cells[3].textContent]));
  answers.beyond = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  document.querySelector('#operators th[data-key="mean"] button').click();
  answers.sorted = document.querySelector('#operators th[data-key="mean"]').getAttribute("aria-sort");
  const input = document.querySelector("#operators input");
  input.value = "mul_mat_id";
  input.dispatchEvent(new Event("input", {bubbles: true}));
  setTimeout(() => {
    answers.filtered = rows();
    answers.point = scatter.querySelector(":scope > p").textContent;
    answers.values = document.querySelectorAll(".chart details tbody tr").length;
    answers.legend = document.querySelector(".chart .u-legend .u-value").textContent;
    answers.fetched = performance.getEntriesByType("resource").length;
    document.body.insertAdjacentHTML("beforeend", "<pre id=answers></pre>");
    document.getElementById("answers").textContent = "ANSWERS" + JSON.stringify(answers) + "ENDS";
  }, 300);
}, 500));
</script>
SCRIPT

look() { # PAGE [WIDTH [ACTS]]
	cat "$1" "$TMP/${3:-act}.js" >"$TMP/acted.html"
	timeout 60 "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$TMP/profile" \
		--enable-logging=stderr --window-size=${2:-1300},1000 --virtual-time-budget=5000 \
		--dump-dom "file://$TMP/acted.html" >"$TMP/dom" 2>"$TMP/browser" ||
		fail "the browser failed: $(tail -3 "$TMP/browser")"
	assert_eq "console" "$(grep -c CONSOLE "$TMP/browser")" 0
	answers=$(sed -n 's/.*<pre id="answers">ANSWERS\(.*\)ENDS<.*/\1/p' "$TMP/dom" | sed 's/&amp;/\&/g')
	[ -n "$answers" ] || fail "the page gave no answers"
}

answer() { jq -r ".$1" <<<"$answers"; }

look "$TMP/one.html"
assert_ge "charts" "$(answer charts)" 4
assert_eq "canvases with colour" "$(answer drawn)" $(($(answer charts) + 3))
assert_ge "operator rows" "$(answer rows)" 8
assert_eq "rows after filtering" "$(answer filtered)" 1
assert_eq "sorted" "$(answer sorted)" descending
assert_ge "graph nodes" "$(answer nodes)" 10
assert_eq "tip of a node" "$(answer tip)" true
assert_eq "from node to node by keys" "$(answer walked)" true
assert_ge "marks of the report" "$(answer marks)" 2
assert_match "readout of the strip" "$(answer readout)" 'matrix products [0-9]+ %'
assert_match "pointing at a chart" "$(answer legend)" '^[0-9]'
assert_match "zoomed in: single operators" "$(answer close)" '\([A-Z_+]+\) [0-9.]+ (ns|us|ms)'
assert_match "line through the matrix products" "$(answer line)" '[0-9]+ products; the line is [0-9.]+ GFLOP/s'
assert_match "a matrix product that is pointed at" "$(answer point)" '^[A-Za-z0-9_.-]+: .* in [0-9.]+ [mu]s'
assert_eq "columns of counters" "$(answer counted)" "$(sql "$TMP/a.llmp" "SELECT group_concat(name, ',') FROM
	(SELECT DISTINCT name FROM counter ORDER BY 1)")"
assert_match "experts by keys" "$(answer expert)" 'layer [0-9]+, expert [0-9]+: [0-9]+ uses'
assert_match "reuse of experts" "$(cat "$TMP/dom")" 'mean reuse distance: [0-9.]+ tokens'
assert_ge "values of a chart as a table" "$(answer values)" 20
assert_eq "controls without a name" "$(answer unnamed)" 0
assert_eq "ids used twice" "$(answer ids)" 0
assert_eq "fetched from elsewhere" "$(answer fetched)" 0
# What the page says first are the report's own figures, to as many digits as a page needs.
expect_exit 0 report --json "$TMP/a.llmp"
for figure in tpot_p50 tpot_p99 tokens_per_s prefill_tokens_per_s decode_gbs; do
	assert_near "$figure" "$(answer "figures[] | select(.[0] == \"$figure\")[1]")" \
		"$(jq ".figures.$figure" "$TMP/stdout")" 0.001
done
look "$TMP/two.html"
assert_ge "charts of two runs" "$(answer charts)" 4
assert_match "two runs are compared" "$(cat "$TMP/dom")" 'class="worse"[^>]*>[^<]*worse'
# The page says what diff says, of every figure.
expect_exit 0 diff --json "$TMP/a.llmp" "$TMP/b.llmp"
assert_match "the median" "$(answer 'judged["time per output token, P50"]')" \
	" $(jq -r '.[0].figures.tpot_p50.verdict' "$TMP/stdout")\$"
assert_match "the last percent" "$(answer 'judged["time per output token, P99"]')" \
	" $(jq -r '.[0].figures.tpot_p99.verdict' "$TMP/stdout")\$"
assert_le "bytes" "$(stat -c %s "$TMP/two.html")" $((3 * 1024 * 1024))
look "$TMP/two.html" 500
assert_eq "beyond the edge of a narrow window" "$(answer beyond)" 0

echo "-- the graph alone"
cat >"$TMP/graph.js" <<'SCRIPT'
<script>
window.addEventListener("load", () => setTimeout(() => {
  const box = document.querySelector(".graph"), svg = box.querySelector("svg"), tip = document.querySelector(".tip"), view = () => svg.getAttribute("viewBox"), answers = {};
  answers.nodes = svg.querySelectorAll("g.node").length;
  const before = view(), at = box.getBoundingClientRect();
  box.dispatchEvent(new WheelEvent("wheel", {deltaY: -100, clientX: at.left + 100, clientY: at.top + 100, cancelable: true}));
  answers.zoomed = Number(view().split(" ")[2]) < Number(before.split(" ")[2]);
  svg.querySelectorAll("g.node")[3].dispatchEvent(new PointerEvent("pointerenter"));
  answers.tip = tip.textContent;
  box.dispatchEvent(new KeyboardEvent("keydown", {key: "n"}));
  answers.walked = svg.querySelectorAll("g.at").length === 1 && tip.textContent !== answers.tip;
  box.dispatchEvent(new KeyboardEvent("keydown", {key: "0"}));
  answers.all = view();
  answers.fetched = performance.getEntriesByType("resource").length;
  document.body.insertAdjacentHTML("beforeend", "<pre id=answers></pre>");
  document.getElementById("answers").textContent = "ANSWERS" + JSON.stringify(answers) + "ENDS";
}, 300));
</script>
SCRIPT
expect_exit 0 dag -o "$TMP/graph.html" "$TMP/a.llmp"
look "$TMP/graph.html" 1300 graph
assert_ge "nodes" "$(answer nodes)" 8
assert_eq "the wheel zooms" "$(answer zoomed)" true
assert_match "a node that is pointed at" "$(answer tip)" 'executed [0-9]+ times'
assert_eq "keys walk" "$(answer walked)" true
assert_match "everything again" "$(answer all)" '^0 0 '
assert_eq "fetched from elsewhere" "$(answer fetched)" 0

echo "-- a million operator rows"
"$BUILD/tests/run_make" --layers 16 --prompt 16 --decodes 460 --threads 8 --sched "$TMP/big.llmp.spool" >/dev/null ||
	fail "run_make"
expect_exit 0 export "$TMP/big.llmp"
assert_ge "rows" "$(sql "$TMP/big.llmp" 'SELECT count(*) FROM op')" 1000000
expect_exit 0 html -o "$TMP/big.html" "$TMP/big.llmp"
look "$TMP/big.html"
assert_match "zoomed in: bins" "$(answer close)" ': (.* [0-9]+ %|idle)'
assert_eq "canvases with colour" "$(answer drawn)" $(($(answer charts) + 1))
assert_le "elements" "$(answer elements)" 5000
assert_le "bytes" "$(stat -c %s "$TMP/big.html")" $((6 * 1024 * 1024))
