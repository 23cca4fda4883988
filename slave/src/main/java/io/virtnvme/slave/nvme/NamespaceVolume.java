package io.virtnvme.slave.nvme;

import io.virtnvme.slave.bdev.Bdev;

/**
 * A namespace and the disk behind it, opened by this process.
 *
 * @param bdev stays open until no reactor uses it
 */
public record NamespaceVolume(Namespace namespace, Bdev bdev) {}
