/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of a sweep: parameters, combinations, commands. */
#include "view/sweep/sweep_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/buf.h"
#include "util/text.h"

static struct sweep_param *param_of(const struct sweep *s, const char *name, size_t len)
{
	for (size_t i = 0; i < s->n_params; i++)
		if (strlen(s->params[i].name) == len && !strncmp(s->params[i].name, name, len))
			return &s->params[i];
	return NULL;
}

static int parse_param(struct sweep *s, const char *text, struct diag *d)
{
	const char *eq = strchr(text, '=');
	struct sweep_param *p;
	char *copy, *rest, *value;

	if (!eq || eq == text || !eq[1])
		return diag_fail(d, -EINVAL, "'%s' is no parameter; write NAME=VALUE,VALUE...",
				 text);
	if (param_of(s, text, (size_t)(eq - text)))
		return diag_fail(d, -EINVAL, "parameter '%.*s' is given twice", (int)(eq - text),
				 text);
	p = VEC_PUSH(s->params, s->n_params, s->cap_params);
	p->name = xstrndup(text, (size_t)(eq - text));
	copy = rest = xstrdup(eq + 1);
	while ((value = strsep(&rest, ",")))
		*VEC_PUSH(p->values, p->n_values, p->cap_values) = xstrdup(value);
	free(copy);
	return 0;
}

/* The next "{name}" in `text`; sets *len to the length of the name. */
static const char *placeholder(const char *text, size_t *len)
{
	for (const char *p = text; (p = strchr(p, '{')); p++) {
		*len = strcspn(p + 1, "{} \t");
		if (*len && p[1 + *len] == '}')
			return p;
	}
	return NULL;
}

static const char *param_name(const void *state, size_t i)
{
	const struct sweep *s = state;

	return i < s->n_params ? s->params[i].name : NULL;
}

static int check_placeholders(const struct sweep *s, bool *used, struct diag *d)
{
	for (char *const *arg = s->o.command; *arg; arg++) {
		size_t len;

		for (const char *p = *arg; (p = placeholder(p, &len)); p += len + 2) {
			struct sweep_param *param = param_of(s, p + 1, len);
			char *name = xstrndup(p + 1, len);
			const char *near = text_nearest(name, param_name, s);
			int err = 0;

			if (!param)
				err = diag_fail(d, -EINVAL,
						"the command uses {%s}, which has no values%s%s%s",
						name, near ? "; did you mean {" : "",
						near ? near : "", near ? "}?" : "");
			free(name);
			if (err)
				return err;
			used[param - s->params] = true;
		}
	}
	return 0;
}

static int check(const struct sweep *s, struct diag *d)
{
	bool *used = xcalloc(s->n_params + 1, sizeof(*used));
	int err = check_placeholders(s, used, d);

	for (size_t i = 0; i < s->n_params && !err; i++)
		if (!used[i])
			err = diag_fail(d, -EINVAL,
					"parameter '%s' appears nowhere in the command; write {%s} "
					"where its value belongs",
					s->params[i].name, s->params[i].name);
	free(used);
	return err;
}

static const char *value_of(const struct sweep *s, size_t combination, size_t param)
{
	for (size_t i = s->n_params; i-- > param + 1;)
		combination /= s->params[i].n_values;
	return s->params[param].values[combination % s->params[param].n_values];
}

static void make_labels(struct sweep *s)
{
	struct buf label = {0};

	s->labels = xcalloc(s->n_combinations, sizeof(*s->labels));
	for (size_t c = 0; c < s->n_combinations; c++) {
		for (size_t i = 0; i < s->n_params; i++)
			buf_printf(&label, "%s%s=%s", i ? "," : "", s->params[i].name,
				   value_of(s, c, i));
		s->labels[c] = label.len ? buf_take(&label) : xstrdup("as it is");
	}
	buf_free(&label);
}

struct sweep *sweep_new(const struct sweep_opts *o, char *const *params, size_t n, struct diag *d)
{
	enum { COMBINATIONS_MAX = 10000 };
	struct sweep *s = xcalloc(1, sizeof(*s));
	int err = 0;

	s->o = *o;
	s->n_combinations = 1;
	if (!o->command || !o->command[0])
		err = diag_fail(d, -EINVAL, "sweep needs a command after --");
	if (!err && (o->repeat < 1 || o->warmup < 0))
		err = diag_fail(d, -EINVAL, "sweep runs each combination at least once");
	for (size_t i = 0; i < n && !err; i++)
		err = parse_param(s, params[i], d);
	if (!err)
		err = check(s, d);
	for (size_t i = 0; i < s->n_params && s->n_combinations <= COMBINATIONS_MAX; i++)
		s->n_combinations *= s->params[i].n_values;
	if (!err && s->n_combinations > COMBINATIONS_MAX)
		err = diag_fail(d, -E2BIG, "more than %d combinations of parameter values",
				COMBINATIONS_MAX);
	if (err) {
		s->n_combinations = 0;
		sweep_free(s);
		return NULL;
	}
	make_labels(s);
	return s;
}

void sweep_free(struct sweep *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_params; i++) {
		for (size_t k = 0; k < s->params[i].n_values; k++)
			free(s->params[i].values[k]);
		free(s->params[i].values);
		free(s->params[i].name);
	}
	for (size_t i = 0; i < s->n_combinations; i++)
		free(s->labels[i]);
	free(s->labels);
	free(s->params);
	free(s);
}

size_t sweep_combinations(const struct sweep *s)
{
	return s->n_combinations;
}

const char *sweep_label(const struct sweep *s, size_t combination)
{
	return s->labels[combination];
}

static char *fill_in(const struct sweep *s, size_t combination, const char *arg)
{
	struct buf out = {0};
	size_t len;
	const char *p;

	while ((p = placeholder(arg, &len))) {
		struct sweep_param *param = param_of(s, p + 1, len);

		buf_add(&out, arg, (size_t)(p - arg));
		buf_puts(&out, value_of(s, combination, (size_t)(param - s->params)));
		arg = p + len + 2;
	}
	buf_puts(&out, arg);
	return out.len ? buf_take(&out) : xstrdup("");
}

char **sweep_argv(const struct sweep *s, size_t combination)
{
	char **argv = NULL;
	size_t n = 0, cap = 0;

	for (char *const *arg = s->o.command; *arg; arg++)
		*VEC_PUSH(argv, n, cap) = fill_in(s, combination, *arg);
	*VEC_PUSH(argv, n, cap) = NULL;
	return argv;
}

void sweep_argv_free(char **argv)
{
	for (char **arg = argv; arg && *arg; arg++)
		free(*arg);
	free(argv);
}
