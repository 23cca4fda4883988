package io.virtnvme.tools;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.master.nvme.LogRequest;
import io.virtnvme.master.rpc.JsonText;
import java.io.IOException;
import java.io.InputStream;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;

/**
 * What is in the log pages of vendors, by tables in JSON: one that comes with this build, and the
 * user's. Any thread.
 *
 * <pre>
 * {"pages": [{
 *   "name": "ocp-smart",        for people
 *   "smart": true,              whether it is about the device's health; false
 *   "log_id": 192,
 *   "vendor_id": 4660,          PCI vendor; without it: any
 *   "length": 512,              bytes, 4 to 65536, a multiple of 4
 *   "mark": {"offset": 496, "bytes": "c5af.."},   what the page must have there; may be missing
 *   "fields": [{"name": "refresh_counts", "offset": 81, "length": 7, "text": false}, ..]
 * }, ..]}
 * </pre>
 *
 * Numbers are little endian and without sign, 1 to 16 bytes; texts are ASCII.
 */
final class VendorLogs {
  private static final String OWN_TABLE = "vendor-logs.json";
  private static final long TABLE_LENGTH_MAX = 1 << 20;
  private static final int NUMBER_LENGTH_MAX = 16;

  /** A part of a page. */
  private record Field(String name, int offset, int length, boolean isText) {}

  /**
   * A page that is known.
   *
   * @param vendorId -1 for any
   * @param mark empty when the page has none
   */
  record Page(
      String name,
      boolean isSmart,
      int logId,
      int vendorId,
      int length,
      int markOffset,
      List<Byte> mark,
      List<Field> fields) {
    private boolean isOf(final int vendor) {
      return vendorId < 0 || vendorId == vendor;
    }

    /** Whether a device's page is this one. */
    boolean fits(final byte[] data) {
      boolean fits = data.length >= length;
      for (int i = 0; fits && i < mark.size(); i++) {
        fits = data[markOffset + i] == mark.get(i);
      }
      return fits;
    }

    /** What is in it, in the order of the table. */
    ObjectNode decode(final byte[] data) {
      final ObjectNode shown = JsonNodeFactory.instance.objectNode();
      for (final Field field : fields) {
        final byte[] part =
            Arrays.copyOfRange(data, field.offset(), field.offset() + field.length());
        if (field.isText()) {
          shown.put(field.name(), NvmeCommand.printable(new String(part, ISO_8859_1)));
        } else {
          shown.put(field.name(), number(part));
        }
      }
      return shown;
    }

    private static BigInteger number(final byte[] littleEndian) {
      final byte[] bigEndian = new byte[littleEndian.length];
      for (int i = 0; i < bigEndian.length; i++) {
        bigEndian[i] = littleEndian[bigEndian.length - 1 - i];
      }
      return new BigInteger(1, bigEndian);
    }
  }

  private final List<Page> pages = new ArrayList<>();

  private VendorLogs() {}

  /**
   * What is known.
   *
   * @param table the user's, which counts before what this build knows; null for none
   * @throws CommandFailedException when it is no such table
   */
  static VendorLogs with(final Path table) throws IOException {
    final VendorLogs logs = new VendorLogs();
    if (table != null) {
      logs.add(table.toString(), read(table));
    }
    try (InputStream own = VendorLogs.class.getResourceAsStream(OWN_TABLE)) {
      logs.add(OWN_TABLE, own.readAllBytes());
    }
    return logs;
  }

  private static byte[] read(final Path table) {
    try {
      if (Files.size(table) <= TABLE_LENGTH_MAX) {
        return Files.readAllBytes(table);
      }
      throw new CommandFailedException(
          table + " is no table of log pages: it has " + Files.size(table) + " bytes");
    } catch (final IOException e) {
      throw new CommandFailedException("cannot read table " + table + ": " + e, e);
    }
  }

  private void add(final String where, final byte[] json) {
    final JsonNode entries;
    try {
      entries = JsonText.parse(json).path("pages");
    } catch (final IllegalArgumentException e) {
      throw new CommandFailedException(where + " is no JSON: " + e.getMessage(), e);
    }
    if (!entries.isArray()) {
      throw new CommandFailedException(where + " has no list \"pages\"");
    }
    for (int i = 0; i < entries.size(); i++) {
      pages.add(page(where + ": page " + i, entries.get(i)));
    }
  }

  private static Page page(final String where, final JsonNode entry) {
    final int length = number(where, entry, "length", Integer.BYTES, LogRequest.LENGTH_MAX);
    if (length % Integer.BYTES != 0) {
      throw new CommandFailedException(where + ": \"length\" must be a multiple of 4: " + length);
    }
    final JsonNode mark = entry.path("mark");
    final List<Byte> bytes = mark.isMissingNode() ? List.of() : bytes(where, mark);
    final List<Field> fields = new ArrayList<>();
    for (final JsonNode field : entry.path("fields")) {
      fields.add(field(where, field, length));
    }
    return new Page(
        text(where, entry, "name"),
        entry.path("smart").asBoolean(),
        number(where, entry, "log_id", 0, 0xFF),
        entry.has("vendor_id") ? number(where, entry, "vendor_id", 0, 0xFFFF) : -1,
        length,
        bytes.isEmpty() ? 0 : number(where, mark, "offset", 0, length - bytes.size()),
        bytes,
        fields);
  }

  private static List<Byte> bytes(final String where, final JsonNode mark) {
    final List<Byte> bytes = new ArrayList<>();
    try {
      for (final byte one : HexFormat.of().parseHex(text(where, mark, "bytes"))) {
        bytes.add(one);
      }
    } catch (final IllegalArgumentException e) {
      throw new CommandFailedException(where + ": \"bytes\" must be hexadecimal digits", e);
    }
    return bytes;
  }

  private static Field field(final String where, final JsonNode entry, final int pageLength) {
    final boolean isText = entry.path("text").asBoolean();
    final int length = number(where, entry, "length", 1, isText ? pageLength : NUMBER_LENGTH_MAX);
    return new Field(
        text(where, entry, "name"),
        number(where, entry, "offset", 0, pageLength - length),
        length,
        isText);
  }

  private static String text(final String where, final JsonNode entry, final String name) {
    if (!entry.path(name).isTextual()) {
      throw new CommandFailedException(where + ": \"" + name + "\" must be a string");
    }
    return entry.path(name).asText();
  }

  private static int number(
      final String where, final JsonNode entry, final String name, final int min, final int max) {
    final JsonNode value = entry.path(name);
    final boolean isNumber = value.isIntegralNumber() && value.canConvertToInt();
    if (!isNumber || value.intValue() < min || value.intValue() > max) {
      throw new CommandFailedException(
          where + ": \"" + name + "\" must be a number from " + min + " to " + max);
    }
    return value.intValue();
  }

  /** Pages with this id that a device of this vendor may have. */
  List<Page> find(final int logId, final int vendorId) {
    return pages.stream().filter(page -> page.logId() == logId && page.isOf(vendorId)).toList();
  }

  /** Pages about its health that a device of this vendor may have. */
  List<Page> smart(final int vendorId) {
    return pages.stream().filter(page -> page.isSmart() && page.isOf(vendorId)).toList();
  }
}
