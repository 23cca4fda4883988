package io.virtnvme.tools.chaos;

/** Disks that come back differently fast: a file's must wait for the kernel's I/O to end. */
enum DiskGroup {
  MEMORY("memory disks"),
  FILE("file disks");

  private final String label;

  DiskGroup(final String label) {
    this.label = label;
  }

  String label() {
    return label;
  }
}
