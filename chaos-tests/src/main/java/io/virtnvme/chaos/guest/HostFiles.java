package io.virtnvme.chaos.guest;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

/**
 * The host's files in a guest, read-only, over virtio-fs: what runs there needs no image of its
 * own. Commands see them with {@link #prefix}; the guest's own {@code /proc}, {@code /sys}, {@code
 * /dev} and {@code /run} lie on top. Only there they can write: what is tested may be built in the
 * host's {@code /tmp}.
 */
public final class HostFiles implements AutoCloseable {
  /** Where a guest has them. */
  public static final String ROOT = "/host";

  private static final Path PROGRAM = Path.of("/usr/lib/qemu/virtiofsd");
  private static final Duration MOUNT_TIMEOUT = Duration.ofSeconds(30);

  private final ChildProcess server;
  private final Path socket;

  private HostFiles(final ChildProcess server, final Path socket) {
    this.server = server;
    this.socket = socket;
  }

  /**
   * Starts the server for one guest.
   *
   * @param directory where its socket and log go
   */
  public static HostFiles serve(final Path directory) {
    try {
      Files.createDirectories(directory);
      final Path socket = Disk.checkSocket(directory.resolve("fs"));
      final List<String> command =
          List.of(
              PROGRAM.toString(),
              "--socket-path=" + socket,
              "-o",
              "source=/,cache=always,sandbox=chroot");
      return new HostFiles(ChildProcess.start(command, directory.resolve("fs.log")), socket);
    } catch (final IOException e) {
      throw new UncheckedIOException("cannot start " + PROGRAM, e);
    }
  }

  /** Adds them to a guest. */
  public GuestBuilder addTo(final GuestBuilder guest) {
    return guest.arguments(
        "-chardev",
        "socket,id=hostfs,path=" + socket,
        "-device",
        "vhost-user-fs-pci,chardev=hostfs,tag=host");
  }

  /** Mounts them in a guest that has booted. */
  public void mount(final Guest guest) {
    final String script =
        "modprobe virtiofs && mkdir -p /host && mount -t virtiofs -o ro host /host"
            + " && for d in proc sys dev run; do mount --bind /$d /host/$d || exit 1; done";
    guest.run(script, MOUNT_TIMEOUT).orThrow();
  }

  /** Before a command that is to run with the host's programs. */
  public static String prefix() {
    return "chroot " + ROOT + " ";
  }

  /** What the server said. */
  public String log() {
    return server.logTail();
  }

  @Override
  public void close() {
    server.close();
    try {
      Files.deleteIfExists(socket);
    } catch (final IOException e) {
      throw new UncheckedIOException("cannot delete " + socket, e);
    }
  }
}
