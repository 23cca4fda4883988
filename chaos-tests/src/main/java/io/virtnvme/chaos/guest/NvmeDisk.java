package io.virtnvme.chaos.guest;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.util.ArrayList;
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

  /** What QEMU is told of the image. */
  private final String driveOptions;

  /** The second namespace's file; null when there is none. */
  private final Path secondImage;

  private NvmeDisk(
      final Path socket,
      final Path image,
      final String serial,
      final String driveOptions,
      final Path secondImage) {
    this.socket = socket;
    this.image = image;
    this.serial = serial;
    this.driveOptions = driveOptions;
    this.secondImage = secondImage;
  }

  /**
   * A controller served over vfio-user.
   *
   * @param directory the server's directory with the socket {@value #SOCKET_NAME} in it; the
   *     socket's path must fit 107 bytes. There is no reconnection: when the socket closes, the
   *     guest has lost its controller
   */
  public static NvmeDisk servedIn(final Path directory) {
    return new NvmeDisk(Disk.checkSocket(directory.resolve(SOCKET_NAME)), null, "", "", null);
  }

  /**
   * QEMU's own controller, to try a test of ours on: one namespace with blocks of 512 bytes.
   *
   * @param image the namespace's file, in full length
   * @param serial serial number, at most 20 characters
   */
  public static NvmeDisk emulated(final Path image, final String serial) {
    return new NvmeDisk(null, Disk.checkSocket(image), serial, "file=" + image, null);
  }

  /** The same whose medium cannot read one sector of 512 bytes any more. */
  public NvmeDisk withBadSector(final long sector) {
    return new NvmeDisk(
        socket,
        image,
        serial,
        "file.driver=blkdebug,file.image.driver=file,file.image.filename="
            + image
            + ",file.inject-error.0.event=read_aio,file.inject-error.0.errno=5"
            + ",file.inject-error.0.sector="
            + sector,
        secondImage);
  }

  /** The same that carries out so many commands a second, a tenth of them in a burst. */
  public NvmeDisk withCommandsPerSecond(final int count) {
    return new NvmeDisk(
        socket, image, serial, driveOptions + ",throttling.iops-total=" + count, secondImage);
  }

  /** The same with a second namespace, of this file. */
  public NvmeDisk withSecondNamespace(final Path otherImage) {
    return new NvmeDisk(socket, image, serial, driveOptions, Disk.checkSocket(otherImage));
  }

  /** QEMU's arguments for this controller under the given id. */
  List<String> arguments(final String id) {
    if (image != null) {
      final String drive = "if=none,format=raw,discard=unmap,id=" + id + "-img," + driveOptions;
      final List<String> arguments =
          new ArrayList<>(
              List.of(
                  "-drive",
                  drive,
                  "-device",
                  "nvme,id=" + id + ",serial=" + serial,
                  "-device",
                  "nvme-ns,nsid=1,bus=" + id + ",drive=" + id + "-img"));
      if (secondImage != null) {
        arguments.addAll(
            List.of(
                "-drive",
                "if=none,format=raw,discard=unmap,id=" + id + "-img2,file=" + secondImage,
                "-device",
                "nvme-ns,nsid=2,bus=" + id + ",drive=" + id + "-img2"));
      }
      return arguments;
    }
    final ObjectNode device = Qmp.object().put("driver", "vfio-user-pci").put("id", id);
    device.putObject("socket").put("type", "unix").put("path", socket.toString());
    return List.of("-device", device.toString());
  }
}
