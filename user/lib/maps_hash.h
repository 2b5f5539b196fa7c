/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Walking a HASH map or an LPM_TRIE; between the maps_*.c files.
 */
#ifndef GW_MAPS_HASH_H
#define GW_MAPS_HASH_H

/* Call each(arg, key, value) for a map's entries, read in batches.  Entries that
 * come and go meanwhile may be seen or not.  0 or -errno. */
int maps_hash_each(int fd, void (*each)(void *arg, const void *key, const void *value), void *arg);

#endif
