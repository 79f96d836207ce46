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
[ -n "$browser" ] || apt-get install -y chromium >/dev/null 2>&1
[ -n "$browser" ] || browser=$(command -v chromium) || skip "no chromium here, and it cannot be installed"

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
  strip.dispatchEvent(new KeyboardEvent("keydown", {key: "+"}));
  const chart = document.querySelector(".chart .u-over"), at = chart.getBoundingClientRect();
  chart.dispatchEvent(new MouseEvent("mousemove", {clientX: at.left + at.width / 2, clientY: at.top + 20, bubbles: true}));
  const node = document.querySelector("#graph g.node");
  node.dispatchEvent(new PointerEvent("pointerenter"));
  answers.tip = document.querySelector("#graph .tip").textContent.length > 0;
  document.querySelector('#operators th[data-key="mean"] button').click();
  answers.sorted = document.querySelector('#operators th[data-key="mean"]').getAttribute("aria-sort");
  const input = document.querySelector("#operators input");
  input.value = "mul_mat_id";
  input.dispatchEvent(new Event("input", {bubbles: true}));
  setTimeout(() => {
    answers.filtered = rows();
    answers.legend = document.querySelector(".chart .u-legend .u-value").textContent;
    answers.fetched = performance.getEntriesByType("resource").length;
    document.body.insertAdjacentHTML("beforeend", "<pre id=answers></pre>");
    document.getElementById("answers").textContent = "ANSWERS" + JSON.stringify(answers) + "ENDS";
  }, 300);
}, 500));
</script>
SCRIPT

look() { # PAGE
	cat "$1" "$TMP/act.js" >"$TMP/acted.html"
	timeout 60 "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$TMP/profile" \
		--enable-logging=stderr --window-size=1300,1000 --virtual-time-budget=5000 \
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
assert_match "readout of the strip" "$(answer readout)" 'matrix products [0-9]+ %'
assert_match "pointing at a chart" "$(answer legend)" '^[0-9]'
assert_eq "fetched from elsewhere" "$(answer fetched)" 0
look "$TMP/two.html"
assert_ge "charts of two runs" "$(answer charts)" 4
assert_match "two runs are compared" "$(cat "$TMP/dom")" 'class="worse"[^>]*>[^<]*worse'
assert_le "bytes" "$(stat -c %s "$TMP/two.html")" $((3 * 1024 * 1024))
