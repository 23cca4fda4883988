package io.virtnvme.tools.bench;

import java.util.List;

/**
 * One of the back-ends that are compared.
 *
 * @param label in the report
 * @param socket where it listens; null for the do-nothing peer
 * @param pids processes whose time counts as its own; empty for the one that listens
 */
record Subject(String label, String socket, List<Integer> pids) {}
