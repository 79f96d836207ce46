#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Data of programs in scripts: arrays, bitfields, anonymous members and pointers, with the program's
# debug information and with declarations of the script's own, as text and as JSON.
. "$(dirname "$0")/lib.sh"
need_bpf
command -v cc >/dev/null || skip_unless_ci "no C compiler"
cd "$TMP" || exit 1

cat >t.c <<'END'
#include <string.h>
union word { int i; unsigned char b[4]; struct { short lo, hi; }; };
typedef struct { int x, y; } point_t;
struct inner { int a; char name[8]; };
struct data {
	int m;
	char text[8];
	int grid[2][3];
	struct inner in[2];
	union word u;
	unsigned b1 : 3;
	int b2 : 9;
	struct { int alone; union { long wide; char chars[8]; }; };
	struct data *next;
} data;
__attribute__((noipa)) int take(struct data *d, point_t *p, int **pp) { return d->m + p->x + **pp; }
int main(void)
{
	point_t p = {5, -6};
	int x = 99, *px = &x;

	data.m = 3;
	strcpy(data.text, "text");
	for (int i = 0; i < 6; i++)
		data.grid[i / 3][i % 3] = i / 3 * 10 + i % 3;
	data.in[1].a = 55;
	strcpy(data.in[1].name, "in1");
	data.u.i = 0x01020304;
	data.b1 = 5;
	data.b2 = -7;
	data.alone = 8;
	data.wide = 0x4142;
	data.next = &data;
	return take(&data, &p, &px) == 0;
}
END
cc -g -O1 -no-pie -o t t.c && cp t bare && strip -g bare || fail "compiling the target"
types='struct inner { int a; char name[8]; };
union word { int i; unsigned char b[4]; struct { short lo, hi; }; };
struct data { int m; char text[8]; int grid[2][3]; struct inner in[2]; union word u; unsigned b1:3; int b2:9;
	struct { int alone; union { long wide; char chars[8]; }; }; struct data *next; };
typedef struct { int x, y; } point_t;'

# want WHAT OUTPUT PROGRAM: d is the struct; once by debug information, once by declarations.
want() {
	local got program
	for program in "uprobe:./t:take { \$d = args.d; \$p = args.p; \$pp = args.pp; $3 }" \
		"$types uprobe:./bare:take { \$d = (struct data *)arg0; \$p = (point_t *)arg1; \$pp = (int32 **)arg2; $3 }"; do
		[[ $program == uprobe:./t* ]] && cmd=./t || cmd=./bare
		got=$(timeout 60 "$LLMPROBE" script -q -c $cmd "${flags[@]}" -e "$program" 2>stderr | grep -v '^$' | paste -sd';')
		[ "$got" = "$2" ] || fail "$1 ($cmd): '$got', wanted '$2'; $(cat stderr)"
	done
	echo "$1"
}
flags=()
want "arrays in arrays" "[[0,1,2],[10,11,12]];[10,11,12];12;24" \
	'print($d.grid); print($d.grid[1]); print($d.grid[1][2]); print(sizeof($d.grid));'
want "structs in arrays" "{ .a = 55, .name = in1 };in1" 'print($d.in[1]); print($d->in[1].name);'
want "bitfields" "5 -7" 'printf("%d %d\n", $d.b1, $d.b2);'
want "anonymous members" "{ .i = 16909060, .b = [4,3,2,1], .lo = 772, .hi = 258 };258;8 16706 BA" \
	'print($d.u); print($d.u.hi); printf("%d %d %s\n", $d.alone, $d.wide, $d.chars);'
want "pointers" "3;5 -6;99" 'print($d.next.next->m); printf("%d %d\n", $p.x, $p->y); print(**$pp);'
want "strings" "yes;4" 'if ($d.text == "text") { print("yes"); } print(strlen($d.text));'
want "bytes of text" "in1 te 1" 'printf("%r %s %d\n", buf($d.in[1].name, 3), str($d.text, 2), memcmp($d.text, "teas", 4) > 0);'
want "an index that varies" "55 12 0 101" \
	'$i = 1; $o = 9; $j = 2; printf("%d %d %d %d\n", $d.in[$i].a, $d.grid[$i][$j], $d.grid[$i][$o], $d.text[$i]);'
want "pointers to arrays" "[10,11,12];12" '$g = (int32[3] *)((uint64)$d + 24); print(*$g); print((*$g)[2]);'
want "copies" "{ .a = 55, .name = in1 };@g: [10,11,12];same" \
	'$s = *$d; print($s.in[1]); @g = $s.grid[1]; print(@g); if (@g == $d.grid[1]) { print("same"); } clear(@g);'
flags=(-f json)
want "in JSON" '{"type": "value", "data": {"i": 16909060, "b": [4,3,2,1], "lo": 772, "hi": 258}}' \
	'print($d.u);'
echo "ok: data of programs"
