package io.virtnvme.chaos.device;

import io.virtnvme.chaos.DeviceDiskMain;
import io.virtnvme.chaos.guest.CommandResult;
import io.virtnvme.chaos.guest.Guest;
import io.virtnvme.chaos.guest.GuestBuilder;
import io.virtnvme.chaos.guest.GuestImages;
import io.virtnvme.chaos.guest.HostFiles;
import io.virtnvme.chaos.guest.NvmeDisk;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.stream.Collectors;

/**
 * A guest with an NVMe device behind an IOMMU and with the host's files, so that our programs can
 * run in it and drive the device.
 */
final class DeviceGuest implements AutoCloseable {
  static final String SERIAL = "device-1";
  static final long IMAGE_LENGTH = 64L << 20;

  /** So few that a process that is killed leaves some to the device. */
  private static final int COMMANDS_PER_SECOND = 200;

  private static final int SECOND_LENGTH = 4 << 20;
  private static final int MEMORY_MIB = 1024;
  private static final Duration LIMIT = Duration.ofSeconds(30);

  private final HostFiles files;
  private final Guest guest;
  private final String address;

  private DeviceGuest(final HostFiles files, final Guest guest) {
    this.files = files;
    this.guest = guest;
    files.mount(guest);
    run("modprobe -a vfio_pci vfio_iommu_type1", LIMIT).orThrow();
    address = run("cat /sys/class/nvme/nvme0/address", LIMIT).orThrow();
  }

  static DeviceGuest boot(final Path temp) throws IOException {
    return boot(temp, MEMORY_MIB);
  }

  static DeviceGuest boot(final Path temp, final int memoryMib) throws IOException {
    final Path image = temp.resolve("n0");
    try (RandomAccessFile file = new RandomAccessFile(image.toFile(), "rw")) {
      file.setLength(IMAGE_LENGTH);
    }
    final Path second = temp.resolve("n1");
    final byte[] content = new byte[SECOND_LENGTH];
    Arrays.fill(content, DeviceDiskMain.SECOND_CONTENT);
    Files.write(second, content);
    final HostFiles files = HostFiles.serve(temp.resolve("f"));
    Guest guest = null;
    try {
      final GuestBuilder builder =
          Guest.builder(GuestImages.in(GuestImages.defaultDirectory()), temp.resolve("g"))
              .nvmeDisk(
                  NvmeDisk.emulated(image, SERIAL)
                      .withBadSector(DeviceDiskMain.BAD_SECTOR)
                      .withCommandsPerSecond(COMMANDS_PER_SECOND)
                      .withSecondNamespace(second))
              .memory(memoryMib)
              .kernelParameters("intel_iommu=on")
              .arguments("-device", "intel-iommu,intremap=on");
      guest = files.addTo(builder).boot();
      return new DeviceGuest(files, guest);
    } catch (final RuntimeException e) {
      if (guest != null) {
        guest.close();
      }
      files.close();
      throw e;
    }
  }

  /** Gives programs that have the host's files a {@code /dev/shm}. */
  void mountSharedMemory() {
    run("mkdir -p /dev/shm && mount -t tmpfs tmpfs " + HostFiles.ROOT + "/dev/shm", LIMIT)
        .orThrow();
  }

  Guest guest() {
    return guest;
  }

  /** PCI address of the device. */
  String address() {
    return address;
  }

  /** The driver that has the device, or an empty string. */
  String driver() {
    return run(
            "basename $(readlink /sys/bus/pci/devices/" + address + "/driver) 2>/dev/null", LIMIT)
        .output()
        .strip();
  }

  /** Waits until the kernel's driver has made a block device of it. */
  void awaitDisk() {
    run("for i in $(seq 1000); do [ -b /dev/nvme0n1 ] && exit; usleep 10000; done; exit 1", LIMIT)
        .orThrow();
  }

  CommandResult run(final String command, final Duration limit) {
    return guest.run(command, limit);
  }

  /** The JVM and class path of this test, as the beginning of a command in the guest. */
  String java() {
    final String options =
        ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
            .filter(option -> option.startsWith("--add-") || option.startsWith("--enable-native"))
            .collect(Collectors.joining(" "));
    return HostFiles.prefix()
        + ProcessHandle.current().info().command().orElseThrow()
        + " -XX:+IgnoreUnrecognizedVMOptions -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto "
        + "-XX:-UsePerfData -Djava.io.tmpdir=/run "
        + options
        + " -cp "
        + System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"))
        + " ";
  }

  @Override
  public void close() {
    guest.close();
    files.close();
  }
}
