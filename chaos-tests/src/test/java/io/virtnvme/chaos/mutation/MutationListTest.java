package io.virtnvme.chaos.mutation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The list of faults fits the tree of today, so that it cannot rot without a word. */
class MutationListTest {
  private static final Path ROOT = Path.of("..");
  private static final int COUNT_MIN = 20;

  @Test
  void shouldFindTheLinesOfEveryFaultOnceInTheTree() throws IOException {
    final List<Mutation> mutations = MutationList.read(ROOT);
    assertTrue(mutations.size() >= COUNT_MIN, () -> "only " + mutations.size());
    final Set<String> names = new HashSet<>();
    for (final Mutation mutation : mutations) {
      assertTrue(names.add(mutation.name()), () -> "twice: " + mutation.name());
      assertFalse(mutation.original().isEmpty(), mutation.name());
      assertNotEquals(mutation.original(), mutation.replacement(), mutation.name());
      assertEquals(1, mutation.occurrences(ROOT), mutation.name() + " in " + mutation.file());
      assertTrue(mutation.apply(ROOT).contains(mutation.replacement()), mutation.name());
    }
  }

  @Test
  void shouldKnowEveryTestThatIsTried() throws IOException {
    final Tree tree = new Tree(ROOT);
    for (final Mutation mutation : MutationList.read(ROOT)) {
      boolean expectedIsTried = false;
      for (final Layer layer : Layer.values()) {
        for (final List<String> group : layer.tests(mutation)) {
          final String module = tree.test(group.get(0)).module();
          group.forEach(test -> assertEquals(module, tree.test(test).module(), test));
          expectedIsTried |= layer == mutation.expected();
        }
      }
      assertTrue(expectedIsTried, mutation.name() + " is not tried where it should be caught");
    }
  }

  @Test
  void shouldSayWhereTheListIsWrong(@TempDir final Path folder) throws IOException {
    Files.createDirectories(folder.resolve(MutationList.PATH).getParent());
    Files.writeString(folder.resolve(MutationList.PATH), "[a]\nbreaks: all\ncolour: red\n");
    final String message =
        assertThrows(IllegalArgumentException.class, () -> MutationList.read(folder)).getMessage();
    assertTrue(message.contains(":3: ") && message.contains("colour: red"), message);
  }
}
