/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/time64.h>
