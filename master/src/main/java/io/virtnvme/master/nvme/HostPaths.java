package io.virtnvme.master.nvme;

import java.nio.file.Path;

/**
 * Where the kernel shows what it knows of devices; tests have folders of their own.
 *
 * @param sys usually {@code /sys}
 * @param proc usually {@code /proc}
 * @param dev usually {@code /dev}
 */
public record HostPaths(Path sys, Path proc, Path dev) {
  /** Those of this machine. */
  public static final HostPaths SYSTEM =
      new HostPaths(Path.of("/sys"), Path.of("/proc"), Path.of("/dev"));

  Path pciDevice(final String address) {
    return sys.resolve("bus/pci/devices").resolve(address);
  }

  Path pciDriver(final String name) {
    return sys.resolve("bus/pci/drivers").resolve(name);
  }
}
