package io.virtnvme.master;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The JVM of the tests has exports among its options, as the launcher's has. */
class SlaveCommandTest {
  private static final String JAR = "virtnvme.slave.jar";
  private static final String ARCHIVE = "virtnvme.slave.archive";

  private String jarBefore;
  private String archiveBefore;

  @BeforeEach
  void setUp() {
    jarBefore = System.clearProperty(JAR);
    archiveBefore = System.clearProperty(ARCHIVE);
  }

  @AfterEach
  void tearDown() {
    restore(JAR, jarBefore);
    restore(ARCHIVE, archiveBefore);
  }

  private static void restore(final String name, final String value) {
    if (value == null) {
      System.clearProperty(name);
    } else {
      System.setProperty(name, value);
    }
  }

  @Test
  void shouldTakeThisClassPathWhenNoJarIsNamed() {
    final List<String> command = SlaveCommand.likeThisProcess();

    assertFalse(SlaveCommand.isOfItsOwn());
    assertEquals(
        List.of("-cp", System.getProperty("java.class.path"), "io.virtnvme.slave.SlaveMain"),
        command.subList(command.size() - 3, command.size()));
    assertTrue(
        command.stream().anyMatch(word -> word.startsWith("--add-exports")), command::toString);
  }

  @Test
  void shouldStartTheJarWithItsOwnClassDataAndWithoutTheMastersOptions() {
    System.setProperty(JAR, "/lib/slave.jar");
    System.setProperty(ARCHIVE, "/dist/slave.jsa");

    final List<String> command = SlaveCommand.likeThisProcess();

    assertTrue(SlaveCommand.isOfItsOwn());
    assertEquals(
        List.of("-XX:SharedArchiveFile=/dist/slave.jsa", "-jar", "/lib/slave.jar"),
        command.subList(command.size() - 3, command.size()));
    assertTrue(command.contains("-XX:+IgnoreUnrecognizedVMOptions"), command::toString);
    assertTrue(
        command.stream()
            .noneMatch(
                word ->
                    word.startsWith("--add-exports")
                        || word.startsWith("--add-opens")
                        || word.startsWith("-Dchronicle.")
                        || word.equals("-cp")),
        command::toString);
  }

  @Test
  void shouldStartTheJarWithoutClassDataWhenThereIsNone() {
    System.setProperty(JAR, "/lib/slave.jar");

    final List<String> command = SlaveCommand.likeThisProcess();

    assertEquals(
        List.of("-jar", "/lib/slave.jar"), command.subList(command.size() - 2, command.size()));
    assertTrue(
        command.stream().noneMatch(word -> word.startsWith("-XX:SharedArchiveFile")),
        command::toString);
  }
}
