package io.virtnvme.chaos.guest;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

/**
 * The two files a guest boots from and a QEMU for those that need one, as {@code guest/prepare.sh}
 * makes them.
 *
 * @param vmlinux the kernel as an ELF file with a PVH entry, which QEMU starts without unpacking
 * @param initramfs the uncompressed cpio archive with the agent, fio and the tools
 * @param newerQemu the program of a QEMU that has {@code vfio-user-pci}; guests that do not need it
 *     run in the system's
 */
public record GuestImages(Path vmlinux, Path initramfs, Path newerQemu) {
  /** System property that names the prepared folder. */
  public static final String DIRECTORY_PROPERTY = "virtnvme.guest.dir";

  private static final Duration PREPARE_TIMEOUT = Duration.ofMinutes(5);

  /**
   * The prepared folder: property {@value #DIRECTORY_PROPERTY}, or {@code target/guest} of this
   * module.
   *
   * @return an absolute path, which need not exist
   */
  public static Path defaultDirectory() {
    final String configured = System.getProperty(DIRECTORY_PROPERTY);
    final Path directory =
        configured != null ? Path.of(configured) : moduleDirectory().resolve("target/guest");
    return directory.toAbsolutePath();
  }

  /**
   * Takes the images of a prepared folder.
   *
   * @param directory the folder given to {@code prepare.sh}
   * @return the images
   * @throws IllegalStateException when one is missing; the message says which and how to make it
   */
  public static GuestImages in(final Path directory) {
    final GuestImages images =
        new GuestImages(
            directory.resolve("vmlinux"),
            directory.resolve("initramfs.cpio"),
            directory.resolve("newer-qemu/qemu-system-x86_64"));
    for (final Path file : List.of(images.vmlinux, images.initramfs, images.newerQemu)) {
      if (!Files.isReadable(file)) {
        throw new IllegalStateException(
            "guest image is missing: " + file + "; run chaos-tests/guest/prepare.sh " + directory);
      }
    }
    return images;
  }

  /**
   * Makes the images where they are missing or out of date; takes some 20 s the first time, then
   * 0.05 s. The script installs packages, so it needs root or a password-less sudo.
   *
   * @param directory where the images go
   * @return the images
   * @throws IllegalStateException when the script fails; the message carries what it said
   */
  public static GuestImages prepare(final Path directory) {
    final Path script = moduleDirectory().resolve("guest/prepare.sh");
    final List<String> command = List.of("bash", script.toString(), directory.toString());
    try {
      Files.createDirectories(directory);
      final Path log = directory.resolve("prepare.out");
      try (ChildProcess process = ChildProcess.start(command, log)) {
        final int status = process.awaitExit(PREPARE_TIMEOUT);
        if (status != 0) {
          throw new IllegalStateException(
              script + " failed: status=" + status + "\n" + process.logTail());
        }
      }
    } catch (final IOException e) {
      throw new IllegalStateException("cannot run " + script, e);
    }
    return in(directory);
  }

  /** Maven starts the tests in the module; an IDE may start them in the root of the tree. */
  private static Path moduleDirectory() {
    final Path here = Path.of(System.getProperty("basedir", "")).toAbsolutePath();
    return Files.exists(here.resolve("guest/prepare.sh")) ? here : here.resolve("chaos-tests");
  }
}
