/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of top, on a full screen or line by line. */
#include <errno.h>
#include <locale.h>
#include <ncurses.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "view/top/top.h"

enum { INTERVAL_MS = 1000, ESCAPE = 27 };

struct loop {
	const struct top_source *s;
	const struct top_opts *o;
	struct top_figures figures;
	bool paused, quit;
	char status[256];
};

static int interval(const struct top_opts *o)
{
	return o->interval_ms > 0 ? o->interval_ms : INTERVAL_MS;
}

static int run_plain(const struct top_source *s, const struct top_opts *o, FILE *out)
{
	struct top_figures f;
	struct buf text = {0};
	int n = 0;

	while (s->pump(s->ctx, -1, interval(o))) {
		memset(&f, 0, sizeof(f));
		s->read(s->ctx, &f);
		buf_reset(&text);
		top_line(&f, &text);
		fprintf(out, "%s\n", buf_str(&text));
		if (fflush(out))
			break;
		if (o->readings && ++n >= o->readings)
			break;
	}
	buf_free(&text);
	return ferror(out) ? -EIO : 0;
}

static void draw(struct loop *l)
{
	struct buf text = {0};
	int width, height, y = 0;

	getmaxyx(stdscr, height, width);
	top_render(&l->figures, l->o, width, height, l->status, &text);
	erase();
	for (char *p = text.data, *next; p; p = next, y++) {
		next = strchr(p, '\n');
		if (next)
			*next++ = '\0';
		if (y == 0 || y == height - 1)
			attron(A_REVERSE);
		mvaddstr(y, 0, p);
		attroff(A_REVERSE);
	}
	refresh();
	buf_free(&text);
}

static void toggle(struct loop *l, int key)
{
	for (size_t i = 0; i < l->figures.n_levels; i++) {
		struct diag *d;

		if (l->figures.levels[i].key != key)
			continue;
		d = diag_new();
		l->status[0] = '\0';
		if (l->s->toggle(l->s->ctx, i, d))
			snprintf(l->status, sizeof(l->status), "%s", diag_first_error(d));
		diag_free(d);
	}
}

static void keys(struct loop *l)
{
	int key;

	while ((key = getch()) != ERR) {
		if (key == 'q' || key == 'Q' || key == ESCAPE)
			l->quit = true;
		else if (key == ' ')
			l->paused = !l->paused;
		else if (key != KEY_RESIZE)
			toggle(l, key);
	}
	if (l->paused)
		snprintf(l->status, sizeof(l->status), "paused; space goes on");
	else if (!strncmp(l->status, "paused", 6))
		l->status[0] = '\0';
}

static int run_screen(struct loop *l, FILE *out, struct diag *d)
{
	SCREEN *screen;
	int n = 0;

	setlocale(LC_CTYPE, "");
	screen = newterm(NULL, out, stdin);
	if (!screen) {
		diag_add(d, DIAG_WARNING,
			 "the terminal type '%s' is not known, so there are lines only; set TERM",
			 getenv("TERM") ? getenv("TERM") : "");
		return run_plain(l->s, l->o, out);
	}
	cbreak();
	noecho();
	curs_set(0);
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(50);
	while (!l->quit && l->s->pump(l->s->ctx, STDIN_FILENO, interval(l->o))) {
		keys(l);
		if (!l->paused) {
			memset(&l->figures, 0, sizeof(l->figures));
			l->s->read(l->s->ctx, &l->figures);
		}
		draw(l);
		if (l->o->readings && ++n >= l->o->readings)
			break;
	}
	endwin();
	delscreen(screen);
	return 0;
}

int top_run(const struct top_source *s, const struct top_opts *o, FILE *out, struct diag *d)
{
	struct loop l = {.s = s, .o = o};

	if (o->plain || !isatty(fileno(out)) || !isatty(STDIN_FILENO))
		return run_plain(s, o, out);
	return run_screen(&l, out, d);
}
