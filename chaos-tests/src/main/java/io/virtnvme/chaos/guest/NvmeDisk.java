package io.virtnvme.chaos.guest;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.util.List;

/**
 * One NVMe controller of a guest. Immutable. The only controller of a guest is {@code /dev/nvme0}
 * in it, its first namespace {@code /dev/nvme0n1}. A guest with one runs in a QEMU that has {@code
 * vfio-user-pci}.
 */
public final class NvmeDisk {
  /** The socket's name in the directory of a server, as SPDK's vfio-user transport names it. */
  public static final String SOCKET_NAME = "cntrl";

  private final Path socket;
  private final Path image;
  private final String serial;

  private NvmeDisk(final Path socket, final Path image, final String serial) {
    this.socket = socket;
    this.image = image;
    this.serial = serial;
  }

  /**
   * A controller served over vfio-user.
   *
   * @param directory the server's directory with the socket {@value #SOCKET_NAME} in it; the
   *     socket's path must fit 107 bytes. There is no reconnection: when the socket closes, the
   *     guest has lost its controller
   */
  public static NvmeDisk servedIn(final Path directory) {
    return new NvmeDisk(Disk.checkSocket(directory.resolve(SOCKET_NAME)), null, "");
  }

  /**
   * QEMU's own controller, to try a test of ours on: one namespace with blocks of 512 bytes.
   *
   * @param image the namespace's file, in full length
   * @param serial serial number, at most 20 characters
   */
  public static NvmeDisk emulated(final Path image, final String serial) {
    return new NvmeDisk(null, Disk.checkSocket(image), serial);
  }

  /** QEMU's arguments for this controller under the given id. */
  List<String> arguments(final String id) {
    if (image != null) {
      final String drive = "if=none,format=raw,discard=unmap,id=" + id + "-img,file=" + image;
      return List.of(
          "-drive", drive, "-device", "nvme,id=" + id + ",drive=" + id + "-img,serial=" + serial);
    }
    final ObjectNode device = Qmp.object().put("driver", "vfio-user-pci").put("id", id);
    device.putObject("socket").put("type", "unix").put("path", socket.toString());
    return List.of("-device", device.toString());
  }
}
