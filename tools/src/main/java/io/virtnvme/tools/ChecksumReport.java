package io.virtnvme.tools;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import io.virtnvme.ipc.sys.Errno;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.zip.CRC32C;

/**
 * Prints checksums of chunks as they come, as lines or as one JSON object: a volume may have
 * millions. One thread.
 */
final class ChecksumReport {
  private final PrintWriter out;
  private final JsonGenerator json;
  private final CRC32C chunkSum = new CRC32C();
  private final CRC32C wholeSum = new CRC32C();
  private long failedCount;

  ChecksumReport(final PrintWriter out, final boolean isJson) throws IOException {
    this.out = out;
    this.json = isJson ? new JsonFactory().createGenerator(out) : null;
  }

  /** Chunks that could not be read. */
  long failedCount() {
    return failedCount;
  }

  void begin(final String endpoint, final long offset, final long length, final int chunkBytes)
      throws IOException {
    if (json != null) {
      json.writeStartObject();
      json.writeStringField("endpoint", endpoint);
      json.writeNumberField("offset", offset);
      json.writeNumberField("length", length);
      json.writeNumberField("chunk_bytes", chunkBytes);
      json.writeArrayFieldStart("chunks");
    }
  }

  /** A {@link VolumeReader.ChunkSink}. */
  void chunk(final long offset, final byte[] bytes, final int count, final int errno)
      throws IOException {
    chunkSum.reset();
    chunkSum.update(bytes, 0, count);
    failedCount += errno == 0 ? 0 : 1;
    if (errno == 0) {
      wholeSum.update(bytes, 0, count);
    }
    if (json == null) {
      out.println(offset + " " + count + " " + (errno == 0 ? text(chunkSum) : Errno.text(errno)));
      return;
    }
    json.writeStartObject();
    json.writeNumberField("offset", offset);
    json.writeNumberField("length", count);
    json.writeStringField(
        errno == 0 ? "crc32c" : "error", errno == 0 ? text(chunkSum) : Errno.text(errno));
    json.writeEndObject();
  }

  /** The whole has a checksum only if each chunk has one. */
  void end() throws IOException {
    final String whole = failedCount == 0 ? text(wholeSum) : null;
    if (json == null) {
      out.println("whole " + (whole == null ? "not read: failed chunks=" + failedCount : whole));
    } else {
      json.writeEndArray();
      json.writeNumberField("failed_chunks", failedCount);
      json.writeStringField("crc32c", whole);
      json.writeEndObject();
      json.flush();
      out.println();
    }
    out.flush();
  }

  private static String text(final CRC32C sum) {
    return String.format("%08x", sum.getValue());
  }
}
