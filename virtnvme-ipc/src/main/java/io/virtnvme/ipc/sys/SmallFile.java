package io.virtnvme.ipc.sys;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;

/** Reads short files of text without a channel, whose classes would hold up a start. Any thread. */
public final class SmallFile {
  private SmallFile() {}

  /** The whole text, without white space around it. */
  public static String read(final Path path) throws IOException {
    try (InputStream in = new FileInputStream(path.toFile())) {
      return new String(in.readAllBytes(), UTF_8).trim();
    }
  }
}
