package io.virtnvme.master.nvme;

import static java.nio.charset.StandardCharsets.US_ASCII;

import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.SmallFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/**
 * A PCI function as sysfs shows it: what it is, who drives it, and which functions the IOMMU cannot
 * keep apart from it. One thread at a time.
 */
final class PciFunction {
  static final String VFIO_DRIVER = "vfio-pci";

  /** Mass storage, non-volatile memory, NVM Express I/O controller (PCI code and ID, 1.2). */
  private static final String NVME_CLASS = "0x010802";

  /** Bridges belong to a group without doing any DMA of their own. */
  private static final String BRIDGE_CLASS = "0x06";

  private final HostPaths paths;
  private final PciAddress address;
  private final Path folder;

  private PciFunction(final HostPaths paths, final PciAddress address) {
    this.paths = paths;
    this.address = address;
    folder = paths.pciDevice(address.text());
  }

  /** A function that was found before; it may be gone. */
  static PciFunction of(final HostPaths paths, final PciAddress address) {
    return new PciFunction(paths, address);
  }

  /**
   * Finds an NVMe controller.
   *
   * @throws NvmeDeviceException ENODEV when there is nothing at this address, or something else
   */
  static PciFunction find(final HostPaths paths, final PciAddress address) {
    final PciFunction function = new PciFunction(paths, address);
    if (!Files.isDirectory(function.folder)) {
      throw new NvmeDeviceException(
          Errno.ENODEV,
          "there is no PCI device " + address + "; lspci -D lists the addresses there are");
    }
    final String pciClass = function.attribute(function.folder, "class");
    if (!pciClass.equals(NVME_CLASS)) {
      throw new NvmeDeviceException(
          Errno.ENODEV,
          "PCI device "
              + address
              + " is no NVMe controller: its class is "
              + pciClass
              + " and not "
              + NVME_CLASS);
    }
    return function;
  }

  PciAddress address() {
    return address;
  }

  private String attribute(final Path of, final String name) {
    try {
      return SmallFile.read(of.resolve(name));
    } catch (final IOException e) {
      throw new NvmeDeviceException(Errno.ENODEV, "cannot read " + of.resolve(name), e);
    }
  }

  private static String linkName(final Path link) {
    try {
      return Files.isSymbolicLink(link)
          ? Files.readSymbolicLink(link).getFileName().toString()
          : "";
    } catch (final IOException e) {
      // Gone between the two calls: the function has no driver or group any more.
      return "";
    }
  }

  /** Name of the driver that has the function, or an empty string. */
  String driver() {
    return linkName(folder.resolve("driver"));
  }

  /**
   * Number of its IOMMU group.
   *
   * @throws NvmeDeviceException EOPNOTSUPP without IOMMU, EBUSY when the group has other functions
   */
  String isolatedGroup() {
    final String group = linkName(folder.resolve("iommu_group"));
    if (group.isEmpty()) {
      throw new NvmeDeviceException(
          Errno.EOPNOTSUPP,
          address
              + " has no IOMMU: switch VT-d or AMD-Vi on in the firmware and boot with"
              + " intel_iommu=on or amd_iommu=on");
    }
    final List<String> others = new ArrayList<>();
    final Path members = paths.sys().resolve("kernel/iommu_groups").resolve(group);
    try (Stream<Path> entries = Files.list(members.resolve("devices"))) {
      for (final Path member : entries.sorted().toList()) {
        final String name = member.getFileName().toString();
        final Path other = paths.pciDevice(name);
        if (!name.equals(address.text()) && !attribute(other, "class").startsWith(BRIDGE_CLASS)) {
          final String driver = linkName(other.resolve("driver"));
          others.add(name + (driver.isEmpty() ? "" : " (" + driver + ")"));
        }
      }
    } catch (final IOException e) {
      throw new NvmeDeviceException(Errno.EIO, "cannot list IOMMU group " + group, e);
    }
    if (!others.isEmpty()) {
      throw new NvmeDeviceException(
          Errno.EBUSY,
          address
              + " shares IOMMU group "
              + group
              + " with "
              + String.join(", ", others)
              + ": they cannot be kept apart; move the device to another slot");
    }
    return group;
  }

  /**
   * Refuses a function that the kernel uses.
   *
   * @throws NvmeDeviceException EBUSY, with what uses it
   */
  void requireUnused() {
    final List<String> users = KernelUse.of(paths, address);
    if (!users.isEmpty()) {
      throw new NvmeDeviceException(
          Errno.EBUSY,
          address + " is in use by the kernel: " + String.join("; ", users) + "; free it first");
    }
  }

  /**
   * Gives the function to vfio-pci, whoever had it.
   *
   * @return whether another driver had it before
   * @throws NvmeDeviceException ENOENT without vfio-pci, EACCES without permission, EBUSY when the
   *     kernel does not do it; the function is as it was then
   */
  boolean takeFromKernel() {
    final String before = driver();
    if (before.equals(VFIO_DRIVER)) {
      return false;
    }
    if (!Files.isDirectory(paths.pciDriver(VFIO_DRIVER))) {
      throw new NvmeDeviceException(
          Errno.ENOENT, "the kernel has no driver vfio-pci: load it with modprobe vfio-pci");
    }
    try {
      write(folder.resolve("driver_override"), VFIO_DRIVER);
      if (!before.isEmpty()) {
        write(folder.resolve("driver/unbind"), address.text());
      }
      write(paths.sys().resolve("bus/pci/drivers_probe"), address.text());
    } catch (final NvmeDeviceException e) {
      giveBackQuietly(e);
      throw e;
    }
    if (!driver().equals(VFIO_DRIVER)) {
      final NvmeDeviceException failure =
          new NvmeDeviceException(
              Errno.EBUSY, "vfio-pci did not take " + address + "; dmesg says why");
      giveBackQuietly(failure);
      throw failure;
    }
    return true;
  }

  /**
   * Gives the function back to the driver that matches it by itself. Nothing happens when that is
   * done already.
   *
   * @throws NvmeDeviceException when the kernel refuses
   */
  void giveBackToKernel() {
    // A line end alone removes the override.
    write(folder.resolve("driver_override"), "\n");
    if (driver().equals(VFIO_DRIVER)) {
      write(folder.resolve("driver/unbind"), address.text());
    }
    if (driver().isEmpty()) {
      write(paths.sys().resolve("bus/pci/drivers_probe"), address.text());
    }
  }

  private void giveBackQuietly(final NvmeDeviceException failure) {
    try {
      giveBackToKernel();
    } catch (final NvmeDeviceException e) {
      failure.addSuppressed(e);
    }
  }

  private static void write(final Path attribute, final String text) {
    try {
      Files.write(attribute, text.getBytes(US_ASCII));
    } catch (final java.nio.file.AccessDeniedException e) {
      throw new NvmeDeviceException(
          Errno.EACCES, "no permission to write " + attribute + ": run the master as root", e);
    } catch (final IOException e) {
      throw new NvmeDeviceException(
          Errno.EIO, "cannot write " + attribute + ": " + e.getMessage(), e);
    }
  }
}
