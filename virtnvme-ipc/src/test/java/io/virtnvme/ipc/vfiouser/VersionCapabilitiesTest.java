package io.virtnvme.ipc.vfiouser;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class VersionCapabilitiesTest {
  /** What QEMU 11.1 sends. */
  private static final String QEMU =
      "{\"capabilities\": {\"write_multiple\": true, \"max_msg_fds\": 16, \"migration\":"
          + " {\"pgsize\": 4096, \"max_bitmap_size\": 8388608}, \"max_dma_maps\": 65535,"
          + " \"max_data_xfer_size\": 1048576, \"pgsizes\": 4096}}";

  @Test
  void shouldReadWhatQemuSends() {
    assertEquals(
        new VersionCapabilities(16, 1048576, 65535, 4096, true), VersionCapabilities.parse(QEMU));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "  ", "{}", "{\"other\": [1, 2.5e3, {\"a\": null}, true]}"})
  void shouldTakeTheDefaultsForWhatIsNotSaid(final String text) {
    assertEquals(VersionCapabilities.DEFAULT, VersionCapabilities.parse(text));
  }

  @Test
  void shouldReadWhatItWrites() {
    final VersionCapabilities ours = new VersionCapabilities(8, 4096, 7, 4096, true);
    assertEquals(ours, VersionCapabilities.parse(ours.text()));
    final VersionCapabilities others = new VersionCapabilities(8, 4096, 7, 4096, false);
    assertEquals(others, VersionCapabilities.parse(others.text()));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "[]",
        "1",
        "{",
        "{\"capabilities\": 1}",
        "{\"capabilities\": {\"max_msg_fds\": -1}}",
        "{\"capabilities\": {\"max_msg_fds\": \"8\"}}",
        "{\"capabilities\": {\"max_msg_fds\": 1.5}}",
        "{\"capabilities\": {\"max_msg_fds\": null}}",
        "{\"capabilities\": {\"write_multiple\": 1}}",
        "{\"capabilities\": {}} x",
        "{\"capabilities\" {}}",
        "{\"a\": \"\\u12\"}",
        "{\"a\": \"\\x\"}",
        "{\"a\": \"\n\"}",
        "{\"a\": tru}",
        "{\"a\": 99999999999999999999}",
        "{\"a\": --1}",
        "{\"a\": }",
        "{'a': 1}",
      })
  void shouldRefuseWithASentenceWhatIsNoCapabilities(final String text) {
    final IllegalArgumentException refusal =
        assertThrows(IllegalArgumentException.class, () -> VersionCapabilities.parse(text));
    assertTrue(refusal.getMessage().length() > 5, refusal::getMessage);
  }

  @Test
  void shouldRefuseNestingThatWouldOverflowTheStack() {
    final String deep = "{\"a\":".repeat(100_000);
    assertThrows(IllegalArgumentException.class, () -> VersionCapabilities.parse(deep));
    assertThrows(
        IllegalArgumentException.class, () -> VersionCapabilities.parse("[".repeat(100_000)));
  }

  @Test
  void shouldThrowNothingButItsOwnRefusalForRandomText() {
    final long seed = System.nanoTime();
    final Random random = new Random(seed);
    for (int i = 0; i < 20_000; i++) {
      final StringBuilder text = new StringBuilder(QEMU);
      for (int k = random.nextInt(4); k >= 0 && text.length() > 1; k--) {
        final int at = random.nextInt(text.length());
        switch (random.nextInt(3)) {
          case 0 -> text.deleteCharAt(at);
          case 1 -> text.insert(at, "{}[]\",:0e.-\\ ut".charAt(random.nextInt(15)));
          default -> text.setLength(Math.max(1, at));
        }
      }
      try {
        VersionCapabilities.parse(text.toString());
      } catch (final IllegalArgumentException expected) {
        assertTrue(expected.getMessage().length() > 5, "seed=" + seed);
      } catch (final RuntimeException e) {
        throw new AssertionError("seed=" + seed + " text=" + text, e);
      }
    }
  }
}
