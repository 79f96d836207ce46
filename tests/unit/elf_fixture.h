/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest ELF file that holds some machine code, for tests of both architectures. */
#ifndef ELF_FIXTURE_H
#define ELF_FIXTURE_H

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "target/elf.h"

enum { FIXTURE_CODE = 0x100 };
#define FIXTURE_VADDR UINT64_C(0x400100)

/* Writes the file to `out` (FIXTURE_CODE + len bytes) and returns its size. */
static inline size_t fixture_bytes(int machine, const void *code, size_t len, uint8_t *out)
{
	Elf64_Ehdr eh = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
			 .e_type = ET_DYN,
			 .e_machine = (Elf64_Half)machine,
			 .e_version = EV_CURRENT,
			 .e_phoff = sizeof(Elf64_Ehdr),
			 .e_ehsize = sizeof(Elf64_Ehdr),
			 .e_phentsize = sizeof(Elf64_Phdr),
			 .e_phnum = 1};
	Elf64_Phdr ph = {.p_type = PT_LOAD,
			 .p_flags = PF_R | PF_X,
			 .p_vaddr = FIXTURE_VADDR - FIXTURE_CODE,
			 .p_filesz = FIXTURE_CODE + len,
			 .p_memsz = FIXTURE_CODE + len,
			 .p_align = 0x1000};

	memset(out, 0, FIXTURE_CODE);
	memcpy(out, &eh, sizeof(eh));
	memcpy(out + sizeof(eh), &ph, sizeof(ph));
	memcpy(out + FIXTURE_CODE, code, len);
	return FIXTURE_CODE + len;
}

/* One function that starts at FIXTURE_VADDR and takes all of the code. */
static inline struct elf *fixture_elf(int machine, const void *code, size_t len, struct elf_func *f)
{
	struct diag *d = diag_new();
	uint8_t *file = malloc(FIXTURE_CODE + len);
	size_t size = fixture_bytes(machine, code, len, file);
	struct elf *e = elf_open_mem(file, size, "fixture", d);

	*f = (struct elf_func){.vaddr = FIXTURE_VADDR, .size = len};
	free(file);
	diag_free(d);
	return e;
}

#endif
