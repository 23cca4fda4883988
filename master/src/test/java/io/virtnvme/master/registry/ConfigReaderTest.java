package io.virtnvme.master.registry;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class ConfigReaderTest {
  @TempDir Path directory;

  private List<ConfigCall> read(final String text) throws IOException {
    return ConfigReader.read(Files.writeString(directory.resolve("c.json"), text));
  }

  private String refusal(final String text) {
    return assertThrows(ConfigException.class, () -> read(text)).getMessage();
  }

  @Test
  void shouldReadCallsAndBatchesInOrder() throws IOException {
    final List<ConfigCall> calls =
        read(
            "{\"subsystems\":[{\"subsystem\":\"sock\",\"config\":null},{\"subsystem\":\"keyring\"},"
                + "{\"subsystem\":\"bdev\",\"config\":[{\"method\":\"a\",\"params\":{\"name\":\"x\"}},"
                + "[{\"method\":\"b\"},{\"method\":\"c\",\"params\":null}],{\"method\":\"d\"}]}]}");
    assertEquals(List.of("a", "b", "c", "d"), calls.stream().map(ConfigCall::method).toList());
    assertEquals("x", calls.get(0).objectName());
    assertEquals("entry 2 of subsystem 'bdev' (d)", calls.get(3).where());
  }

  @Test
  void shouldSayWhatIsWrongWithAFile() {
    assertTrue(refusal("").contains("is no JSON"));
    assertTrue(refusal("{\n\"subsystems\":[}").contains("line 2"));
    assertTrue(refusal("[]").contains("save_config"));
    assertTrue(refusal("{\"subsystems\":[{}]}").contains("number 0"));
    assertTrue(
        refusal("{\"subsystems\":[{\"subsystem\":\"bdev\",\"config\":{}}]}").contains("'bdev'"));
    assertTrue(
        refusal("{\"subsystems\":[{\"subsystem\":\"bdev\",\"config\":[{}]}]}").contains("entry 0"));
    assertTrue(
        refusal(
                "{\"subsystems\":[{\"subsystem\":\"bdev\",\"config\":"
                    + "[{\"method\":\"m\",\"params\":[]}]}]}")
            .contains("entry 0 of subsystem 'bdev' (m)"));
    assertTrue(
        assertThrows(ConfigException.class, () -> ConfigReader.read(directory.resolve("none.json")))
            .getMessage()
            .contains("none.json"));
  }
}
