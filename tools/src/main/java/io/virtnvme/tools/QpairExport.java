package io.virtnvme.tools;

import io.virtnvme.ipc.qpair.QpairClient;
import io.virtnvme.ipc.qpair.QpairRequest;
import io.virtnvme.tools.nbd.NbdExport;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/** A volume behind a VirtNvme endpoint, for one NBD client. One thread. */
final class QpairExport implements NbdExport {
  private static final int DEPTH = 8;
  private static final int CHUNK_BYTES = QpairRequest.DATA_BYTES_MAX;
  private static final long TIMEOUT_NS = TimeUnit.SECONDS.toNanos(60);

  private final String name;
  private final QpairClient client;
  private final VolumeReader reader;

  QpairExport(final String name, final Path socket) {
    this.name = name;
    this.client = QpairClient.attach(socket, DEPTH + 1, (long) DEPTH * CHUNK_BYTES, false);
    this.reader = new VolumeReader(client, DEPTH, CHUNK_BYTES, TIMEOUT_NS);
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public long lengthBytes() {
    return client.blockCount() * blockBytes();
  }

  @Override
  public int blockBytes() {
    return client.geometry().blockBytes();
  }

  /** The blocks that hold the range. */
  @Override
  public int read(final long offset, final int count, final byte[] bytes) throws IOException {
    final int blockBytes = blockBytes();
    final long begin = offset / blockBytes * blockBytes;
    final long end = (offset + count + blockBytes - 1) / blockBytes * blockBytes;
    final int[] failure = {0};
    reader.read(
        begin,
        end,
        (at, chunk, length, errno) -> {
          if (errno != 0) {
            failure[0] = errno;
            return;
          }
          final long from = Math.max(at, offset);
          final long to = Math.min(at + length, offset + count);
          System.arraycopy(
              chunk, (int) (from - at), bytes, (int) (from - offset), (int) (to - from));
        });
    return failure[0];
  }

  @Override
  public void close() {
    client.close();
  }
}
