package io.virtnvme.tools;

import io.virtnvme.ipc.qpair.QpairClient;
import io.virtnvme.ipc.qpair.QpairException;
import io.virtnvme.ipc.qpair.QpairRequest;
import io.virtnvme.ipc.sys.Errno;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code virtnvme read NAME}: the volume behind a VirtNvme endpoint, as a stream or checksums. */
@Command(
    name = "read",
    mixinStandardHelpOptions = true,
    description = {
      "Read a volume through a VirtNvme endpoint while a slave serves it.",
      "Writes its bytes to standard output or a new file. With --checksum it prints CRC32C"
          + " checksums instead, goes on after a chunk that cannot be read, and ends with 1 then.",
      "What is written to the volume meanwhile may or may not be in it."
    },
    footer = {
      "",
      "Examples, with an endpoint made once:",
      "  virtnvme rpc vhost_create_blk_controller"
          + " '{\"ctrlr\":\"backup\",\"dev_name\":\"disk0\",\"readonly\":true,"
          + "\"transport\":\"virtnvme\"}'",
      "  virtnvme read backup --out disk0.img",
      "  virtnvme read backup --checksum --json",
      "Exit codes: 0 all was read, 1 something was not, 2 usage."
    })
final class ReadCommand implements Callable<Integer> {
  private static final int DEPTH_MAX = 64;
  private static final int CHUNK_BYTES_MIN = 4096;

  @Spec private CommandSpec spec;
  @Mixin private RunDirectory runDirectory;

  @Parameters(index = "0", paramLabel = "NAME", description = "Name of the endpoint.")
  private String endpoint;

  @Option(
      names = "--offset",
      paramLabel = "BYTES",
      defaultValue = "0",
      description = "Where to begin, a multiple of the block length (default: ${DEFAULT-VALUE}).")
  private long offset;

  @Option(
      names = "--length",
      paramLabel = "BYTES",
      description = "How much, a multiple of the block length (default: to the end).")
  private Long length;

  @Option(
      names = "--out",
      paramLabel = "FILE",
      description = "Write to this file, which must not exist, instead of standard output.")
  private Path out;

  @Option(
      names = "--checksum",
      description = "Print the CRC32C of each chunk and of the whole; no bytes are written.")
  private boolean checksum;

  @Option(names = "--json", description = "With --checksum: print one JSON object.")
  private boolean json;

  @Option(
      names = "--chunk",
      paramLabel = "BYTES",
      defaultValue = "1048576",
      description = "Bytes of a request, a multiple of 4096, at most 1 MiB (default: 1 MiB).")
  private int chunkBytes;

  @Option(
      names = "--depth",
      paramLabel = "COUNT",
      defaultValue = "8",
      description = "Requests in flight (default: ${DEFAULT-VALUE}).")
  private int depth;

  @Option(
      names = "--timeout",
      paramLabel = "SECONDS",
      defaultValue = "60",
      description = "Give up when nothing completes for so long (default: ${DEFAULT-VALUE}).")
  private int timeoutSeconds;

  @Override
  public Integer call() throws IOException {
    checkOptions();
    try (QpairClient client =
        QpairClient.attach(
            runDirectory.qpairSocket(endpoint), depth + 1, (long) depth * chunkBytes, false)) {
      final long end = checkedEnd(client);
      final VolumeReader reader =
          new VolumeReader(client, depth, chunkBytes, TimeUnit.SECONDS.toNanos(timeoutSeconds));
      if (checksum) {
        return printChecksums(reader, end);
      }
      copy(reader, end);
      return 0;
    } catch (final QpairException e) {
      throw new CommandFailedException(e.getMessage(), e);
    }
  }

  private void checkOptions() {
    OptionRange.check(spec, "--offset", offset, 0, Long.MAX_VALUE);
    OptionRange.check(spec, "--length", length == null ? 1 : length, 1, Long.MAX_VALUE);
    OptionRange.check(spec, "--chunk", chunkBytes, CHUNK_BYTES_MIN, QpairRequest.DATA_BYTES_MAX);
    OptionRange.check(spec, "--depth", depth, 1, DEPTH_MAX);
    OptionRange.check(spec, "--timeout", timeoutSeconds, 1, Integer.MAX_VALUE);
    if (chunkBytes % CHUNK_BYTES_MIN != 0) {
      throw new ParameterException(
          spec.commandLine(), "--chunk must be a multiple of 4096: " + chunkBytes);
    }
    if ((json && !checksum) || (checksum && out != null)) {
      throw new ParameterException(
          spec.commandLine(), "--json goes with --checksum only, --out without it only");
    }
  }

  private long checkedEnd(final QpairClient client) {
    final int blockBytes = client.geometry().blockBytes();
    final long volume = client.blockCount() * blockBytes;
    final long wanted = length == null ? volume - offset : length;
    if (offset > volume || wanted > volume - offset) {
      throw new CommandFailedException(
          "outside of the volume: offset=" + offset + " length=" + wanted + " volume=" + volume);
    }
    if (offset % blockBytes != 0 || wanted % blockBytes != 0) {
      throw new CommandFailedException(
          "no multiple of the block length "
              + blockBytes
              + ": offset="
              + offset
              + " length="
              + wanted);
    }
    return offset + wanted;
  }

  private int printChecksums(final VolumeReader reader, final long end) throws IOException {
    final PrintWriter to = spec.commandLine().getOut();
    final ChecksumReport report = new ChecksumReport(to, json);
    report.begin(endpoint, offset, end - offset, chunkBytes);
    reader.read(offset, end, report::chunk);
    report.end();
    return report.failedCount() == 0 ? 0 : Main.EXIT_FAILURE;
  }

  private void copy(final VolumeReader reader, final long end) throws IOException {
    if (out == null) {
      write(reader, end, new FileOutputStream(FileDescriptor.out));
      return;
    }
    final OutputStream file = create();
    boolean whole = false;
    try (file) {
      write(reader, end, file);
      whole = true;
    } finally {
      // A file that looks like a copy and is none would be worse than no file.
      if (!whole) {
        Files.deleteIfExists(out);
      }
    }
  }

  private OutputStream create() throws IOException {
    try {
      return Files.newOutputStream(out, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
    } catch (final FileAlreadyExistsException e) {
      throw new CommandFailedException(out + " exists already; name another file", e);
    }
  }

  private void write(final VolumeReader reader, final long end, final OutputStream to)
      throws IOException {
    reader.read(
        offset,
        end,
        (at, bytes, count, errno) -> {
          if (errno != 0) {
            throw new CommandFailedException(
                "cannot read: offset=" + at + " length=" + count + ": " + Errno.text(errno));
          }
          to.write(bytes, 0, count);
        });
  }
}
