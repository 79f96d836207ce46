# Writes an assembly file that embeds each given file with .incbin, and the table that
# util/file.h declares. Paths in the table are relative to ROOT.
#   cmake -DROOT=... -DOUT=... -DFILES="a;b" -P embed.cmake
set(data "")
set(table "")
set(n 0)
foreach(file IN LISTS FILES)
	file(RELATIVE_PATH rel "${ROOT}" "${file}")
	string(APPEND data ".Lp${n}:\n\t.asciz \"${rel}\"\n.Ld${n}:\n\t.incbin \"${file}\"\n.Le${n}:\n\t.byte 0\n")
	string(APPEND table "\t.quad .Lp${n}, .Ld${n}, .Le${n} - .Ld${n}\n")
	math(EXPR n "${n} + 1")
endforeach()
file(WRITE "${OUT}"
"\t.section .rodata\n${data}
\t.section .data.rel.ro,\"aw\"\n\t.balign 8\n\t.globl embedded_files\nembedded_files:
${table}\t.quad 0, 0, 0\n\t.section .note.GNU-stack,\"\",%progbits\n")
