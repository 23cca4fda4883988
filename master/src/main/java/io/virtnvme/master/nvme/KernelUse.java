package io.virtnvme.master.nvme;

import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.SmallFile;
import io.virtnvme.ipc.sys.SysException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Who uses the block devices that the kernel's driver has made of a controller: mounted file
 * systems, swap, and whatever is stacked on them. Any thread.
 */
final class KernelUse {
  /** The block device of a namespace; with multipath, the hidden one of this path (c). */
  private static final Pattern NAMESPACE = Pattern.compile("(nvme\\d+)(?:c\\d+)?(n\\d+)");

  private static final int MOUNT_DEVICE_FIELD = 2;
  private static final int MOUNT_POINT_FIELD = 4;

  private final HostPaths paths;
  private final List<String> users = new ArrayList<>();

  private KernelUse(final HostPaths paths) {
    this.paths = paths;
  }

  /** A sentence's part for each user, for example {@code nvme0n1p1 is mounted on /}. */
  static List<String> of(final HostPaths paths, final PciAddress address) {
    final KernelUse use = new KernelUse(paths);
    try {
      final Path controllers = paths.pciDevice(address.text()).resolve("nvme");
      for (final Path controller : entries(controllers)) {
        for (final Path entry : entries(controller)) {
          final Matcher name = NAMESPACE.matcher(entry.getFileName().toString());
          if (name.matches()) {
            use.lookAtDisk(name.group(1) + name.group(2));
          }
        }
      }
    } catch (final IOException e) {
      throw new UncheckedIOException("cannot find out who uses " + address, e);
    }
    return use.users;
  }

  private void lookAtDisk(final String disk) throws IOException {
    final Path folder = paths.sys().resolve("class/block").resolve(disk);
    lookAt(disk, folder);
    for (final Path part : entries(folder)) {
      if (Files.exists(part.resolve("partition"))) {
        lookAt(part.getFileName().toString(), part);
      }
    }
  }

  private void lookAt(final String name, final Path folder) throws IOException {
    final int before = users.size();
    for (final Path holder : entries(folder.resolve("holders"))) {
      users.add(name + " is part of " + holder.getFileName());
    }
    final Path number = folder.resolve("dev");
    if (Files.exists(number)) {
      lookForMounts(name, SmallFile.read(number));
    }
    for (final String line : lines("swaps")) {
      if (line.startsWith("/dev/" + name + " ")) {
        users.add(name + " is swap space");
      }
    }
    if (users.size() == before && isClaimed(paths.dev().resolve(name))) {
      users.add(name + " is in use");
    }
  }

  private void lookForMounts(final String name, final String number) throws IOException {
    for (final String line : lines("self/mountinfo")) {
      final String[] fields = line.split(" ", MOUNT_POINT_FIELD + 2);
      if (fields.length > MOUNT_POINT_FIELD && fields[MOUNT_DEVICE_FIELD].equals(number)) {
        users.add(name + " is mounted on " + fields[MOUNT_POINT_FIELD]);
      }
    }
  }

  /**
   * Finds what no list shows: mounts of other name spaces, processes that want it for themselves.
   */
  private static boolean isClaimed(final Path device) {
    if (!Files.exists(device)) {
      return false;
    }
    try {
      // Of a block device, without O_CREAT, O_EXCL asks whether anybody has claimed it.
      Fds.close(Fds.open(device.toString(), Fds.O_RDONLY | Fds.O_EXCL, 0));
      return false;
    } catch (final SysException e) {
      return e.errno() == Errno.EBUSY;
    }
  }

  private List<String> lines(final String file) throws IOException {
    final Path path = paths.proc().resolve(file);
    return Files.exists(path) ? SmallFile.read(path).lines().toList() : List.of();
  }

  private static List<Path> entries(final Path folder) throws IOException {
    final List<Path> found = new ArrayList<>();
    if (Files.isDirectory(folder)) {
      try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder)) {
        entries.forEach(found::add);
      }
    }
    return found;
  }
}
