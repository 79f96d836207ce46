/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of top, on a full screen or line by line. */
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <ncurses.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "view/top/top.h"

enum {
	INTERVAL_MS = 1000,
	AFTER_KEY_MS = 250, /* until the next reading: what a key did shows soon */
	ESCAPE = 27,
};
enum colour { PLAIN, COMPUTE, WAIT, OFF_CPU };

struct loop {
	const struct top_source *s;
	struct top_opts o;
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

/* What the cells of bars stand for. */
static enum colour cell_colour(const char *cell)
{
	static const char block[] = "\xe2\x96", shade[] = "\u2592";

	if (!strncmp(cell, shade, sizeof(shade) - 1))
		return WAIT;
	if (!strncmp(cell, block, sizeof(block) - 1))
		return COMPUTE;
	return *cell == '!' ? OFF_CPU : PLAIN;
}

/* A line with its bars in colour. */
static void draw_line(const char *text, int y)
{
	move(y, 0);
	while (*text) {
		enum colour c = cell_colour(text);
		size_t n = 0;

		do
			n++;
		while (text[n] && ((text[n] & 0xc0) == 0x80 || cell_colour(text + n) == c));
		attron(COLOR_PAIR(c));
		addnstr(text, (int)n);
		attroff(COLOR_PAIR(c));
		text += n;
	}
}

static void draw(struct loop *l)
{
	struct buf text = {0};
	int width, height, y = 0;

	getmaxyx(stdscr, height, width);
	top_render(&l->figures, &l->o, width, height, l->status, &text);
	erase();
	for (char *p = text.data, *next; p; p = next, y++) {
		next = strchr(p, '\n');
		if (next)
			*next++ = '\0';
		if (y > 0 && y < height - 1 && l->o.colour) {
			draw_line(p, y);
			continue;
		}
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

/* Whether one was pressed. */
static bool keys(struct loop *l)
{
	bool pressed = false;
	int key;

	for (; (key = getch()) != ERR; pressed = true) {
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
	return pressed;
}

static void set_up(struct loop *l)
{
	cbreak();
	noecho();
	curs_set(0);
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(50);
	l->o.ascii |= strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
	l->o.colour = l->o.colour && has_colors();
	if (!l->o.colour)
		return;
	start_color();
	use_default_colors();
	init_pair(COMPUTE, COLOR_GREEN, -1);
	init_pair(WAIT, COLOR_YELLOW, -1);
	init_pair(OFF_CPU, COLOR_RED, -1);
}

/* A key changes no figure: the screen is drawn anew, and read again when there is more to read. */
static void screen_loop(struct loop *l)
{
	int wait = interval(&l->o), n = 0;

	while (!l->quit && l->s->pump(l->s->ctx, STDIN_FILENO, wait)) {
		bool pressed = keys(l);

		wait = pressed ? AFTER_KEY_MS : interval(&l->o);
		if (!pressed && !l->paused) {
			memset(&l->figures, 0, sizeof(l->figures));
			l->s->read(l->s->ctx, &l->figures);
		}
		draw(l);
		if (!pressed && l->o.readings && ++n >= l->o.readings)
			break;
	}
}

/* The screen is given back with all that was on it; what was seen last stays as a line. */
static void say_last(const struct loop *l, FILE *out)
{
	struct buf text = {0};

	if (!l->figures.n_levels)
		return;
	top_line(&l->figures, &text);
	fprintf(out, "%s\n", buf_str(&text));
	buf_free(&text);
}

static int run_screen(struct loop *l, FILE *out, struct diag *d)
{
	SCREEN *screen;

	setlocale(LC_CTYPE, "");
	screen = newterm(NULL, out, stdin);
	if (!screen) {
		diag_add(d, DIAG_WARNING,
			 "the terminal type '%s' is not known, so there are lines only; set TERM",
			 getenv("TERM") ? getenv("TERM") : "");
		return run_plain(l->s, &l->o, out);
	}
	set_up(l);
	screen_loop(l);
	endwin();
	delscreen(screen);
	say_last(l, out);
	return 0;
}

int top_run(const struct top_source *s, const struct top_opts *o, FILE *out, struct diag *d)
{
	struct loop l = {.s = s, .o = *o};

	if (o->plain || !isatty(fileno(out)) || !isatty(STDIN_FILENO))
		return run_plain(s, o, out);
	return run_screen(&l, out, d);
}
