package io.virtnvme.tools.bench;

import io.virtnvme.tools.CommandFailedException;
import io.virtnvme.tools.pair.Leftovers;
import io.virtnvme.tools.pair.PairSettings;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * A qemu-storage-daemon that exports a disk like ours: null-co for null, a file on tmpfs for mem,
 * the same file for uring. It runs on the slave's core, with an I/O thread of its own. {@link
 * #close} ends it.
 */
final class StorageDaemon implements AutoCloseable {
  private static final String BINARY = "qemu-storage-daemon";
  private static final long START_LIMIT_NS = TimeUnit.SECONDS.toNanos(20);
  private static final long STOP_LIMIT_MS = 5000;
  private static final long POLL_NS = 20_000_000;

  private final Path folder;
  private final Path backing;
  private final Path log;
  private final Process process;

  StorageDaemon(final BenchSettings settings) throws IOException {
    folder = Files.createTempDirectory(Path.of("/tmp"), "vn-");
    log = folder.resolve("log");
    backing =
        settings.kind() == PairSettings.Kind.MEM
            ? Files.createTempFile(Path.of("/dev/shm"), "vn-", ".img")
            : null;
    if (backing != null) {
      Fill.fill(backing, settings.rangeBytes());
    }
    final List<String> command = new ArrayList<>();
    if (settings.slaveCore() >= 0) {
      command.addAll(List.of("taskset", "-c", Integer.toString(settings.slaveCore())));
    }
    command.addAll(
        List.of(
            BINARY,
            "--object",
            "iothread,id=io0",
            "--blockdev",
            blockDevice(settings),
            "--export",
            "type=vhost-user-blk,id=e0,node-name=d0,addr.type=unix,addr.path="
                + socket()
                + ",writable=on,num-queues=1,iothread=io0"));
    try {
      process =
          new ProcessBuilder(command)
              .redirectErrorStream(true)
              .redirectOutput(log.toFile())
              .redirectInput(new File("/dev/null"))
              .start();
    } catch (final IOException e) {
      removeFiles();
      throw e;
    }
  }

  private String blockDevice(final BenchSettings settings) {
    return switch (settings.kind()) {
      case NULL -> "driver=null-co,node-name=d0,size=" + settings.rangeBytes();
      case MEM -> "driver=file,node-name=d0,aio=threads,filename=" + backing;
      case URING ->
          "driver=file,node-name=d0,aio=io_uring,cache.direct=on,filename="
              + settings.file().toAbsolutePath();
    };
  }

  /** Throws when the program is not installed. */
  static void checkInstalled() {
    final String path = System.getenv("PATH");
    for (final String folder : (path == null ? "" : path).split(File.pathSeparator, -1)) {
      if (Files.isExecutable(Path.of(folder.isEmpty() ? "." : folder, BINARY))) {
        return;
      }
    }
    throw new CommandFailedException(
        BINARY + " is not installed: apt-get install qemu-utils qemu-system-common");
  }

  String socket() {
    return folder.resolve("s").toString();
  }

  int pid() {
    return Math.toIntExact(process.pid());
  }

  void awaitSocket() throws IOException {
    final long deadlineNs = System.nanoTime() + START_LIMIT_NS;
    while (!Files.exists(Path.of(socket()))) {
      if (!process.isAlive() || System.nanoTime() - deadlineNs > 0) {
        throw new CommandFailedException(
            BINARY + " does not start: " + Files.readString(log).strip());
      }
      LockSupport.parkNanos(POLL_NS);
    }
  }

  private void removeFiles() throws IOException {
    Leftovers.delete(folder);
    if (backing != null) {
      Files.deleteIfExists(backing);
    }
  }

  @Override
  public void close() {
    process.destroy();
    try {
      if (!process.waitFor(STOP_LIMIT_MS, TimeUnit.MILLISECONDS)) {
        process.destroyForcibly();
        process.waitFor(STOP_LIMIT_MS, TimeUnit.MILLISECONDS);
      }
    } catch (final InterruptedException e) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
    }
    try {
      removeFiles();
    } catch (final IOException e) {
      System.err.println("virtnvme bench: cannot remove " + folder + ": " + e.getMessage());
    }
  }
}
