package io.virtnvme.master.registry;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.ipc.relay.BdevLimits;
import io.virtnvme.master.rpc.BdevMigration;
import io.virtnvme.master.rpc.BdevSpec;
import io.virtnvme.master.rpc.BlkControllerSpec;
import io.virtnvme.master.rpc.JsonText;
import io.virtnvme.master.rpc.RpcException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.LocalDate;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletionException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
final class RegistryTest {
  private static final BdevMigration MOVED =
      new BdevMigration(BdevMigration.State.MOVED, new UUID(1, 2), "h:1");
  private static final long DAY_MS = Duration.ofDays(1).toMillis();

  @TempDir Path directory;

  private final AtomicLong nowMs = new AtomicLong(LocalDate.of(2030, 1, 1).toEpochDay() * DAY_MS);

  private Registry open() {
    return Registry.open(directory.resolve("registry"), nowMs::get);
  }

  private static void append(final Registry registry, final String method, final String params) {
    registry.append(method, (ObjectNode) JsonText.parse(params)).toCompletableFuture().join();
  }

  private static void createNull(final Registry registry, final String name) {
    append(
        registry,
        "bdev_null_create",
        "{\"name\":\"" + name + "\",\"block_size\":512,\"num_blocks\":8}");
  }

  private static List<String> bdevs(final Registry registry) {
    return registry.desired().toCompletableFuture().join().bdevs().stream()
        .map(BdevSpec::name)
        .toList();
  }

  private List<String> files() throws IOException {
    try (Stream<Path> files = Files.list(directory.resolve("registry"))) {
      return files
          .map(file -> file.getFileName().toString())
          .filter(name -> name.endsWith(".cq4"))
          .sorted()
          .toList();
    }
  }

  @Test
  void shouldGiveBackWhatShouldExistInOrder() {
    try (Registry registry = open()) {
      assertEquals(List.of(), bdevs(registry));
      createNull(registry, "b");
      createNull(registry, "a");
      createNull(registry, "gone");
      append(registry, "vhost_create_blk_controller", "{\"ctrlr\":\"v\",\"dev_name\":\"a\"}");
      append(registry, "vhost_create_blk_controller", "{\"ctrlr\":\"w\",\"dev_name\":\"b\"}");
      append(registry, "vhost_delete_controller", "{\"ctrlr\":\"w\"}");
      append(registry, "bdev_null_delete", "{\"name\":\"gone\"}");
      append(registry, "virtnvme_bdev_resize", "{\"name\":\"a\",\"num_blocks\":16}");
    }
    try (Registry registry = open()) {
      final DesiredState state = registry.desired().toCompletableFuture().join();
      assertEquals(List.of("b", "a"), state.bdevs().stream().map(BdevSpec::name).toList());
      assertEquals(List.of(8L, 16L), state.bdevs().stream().map(BdevSpec::numBlocks).toList());
      assertEquals(
          List.of("v"), state.controllers().stream().map(BlkControllerSpec::ctrlr).toList());
      assertEquals(0, registry.counters().get("registry_entries_skipped"));
    }
  }

  @Test
  void shouldGiveBackLimitsMarksAndMigrationsAlsoFromACheckpoint() {
    try (Registry registry = open()) {
      createNull(registry, "a");
      append(
          registry,
          "bdev_set_qos_limit",
          "{\"name\":\"a\",\"rw_ios_per_sec\":5,\"w_mbytes_per_sec\":7}");
      append(registry, "virtnvme_start_dirty_tracking", "{\"name\":\"a\",\"grain_kib\":4}");
      append(
          registry,
          "virtnvme_bdev_set_migration",
          "{\"name\":\"a\",\"state\":\"moved\",\"source\":\""
              + MOVED.source()
              + "\",\"peer\":\"h:1\"}");
      nowMs.addAndGet(DAY_MS);
      createNull(registry, "b");
    }
    try (Registry registry = open()) {
      final DesiredState state = registry.desired().toCompletableFuture().join();
      assertEquals(
          List.of(new BdevLimits(5, 0, 0, 7), BdevLimits.NONE),
          state.bdevs().stream().map(BdevSpec::limits).toList());
      assertEquals(List.of(12, 0), state.bdevs().stream().map(BdevSpec::dirtyGrainShift).toList());
      assertEquals(
          List.of(MOVED, BdevMigration.NONE),
          state.bdevs().stream().map(BdevSpec::migration).toList());
      assertEquals(0, registry.counters().get("registry_entries_skipped"));
    }
  }

  @Test
  void shouldSkipEntriesThatCannotBeUsed() throws IOException {
    final Path queueDirectory = directory.resolve("registry");
    try (Registry registry = open()) {
      createNull(registry, "a");
    }
    try (JsonQueue queue = JsonQueue.open(queueDirectory, nowMs::get)) {
      for (final String text :
          List.of(
              "no JSON",
              "",
              "[]",
              "{\"v\":2,\"timeMs\":1,\"method\":\"bdev_null_delete\",\"params\":{\"name\":\"a\"}}",
              "{\"v\":1,\"timeMs\":1,\"method\":\"bdev_lvol_create\",\"params\":{}}",
              "{\"v\":1,\"timeMs\":1,\"method\":\"bdev_null_create\",\"params\":{\"name\":\"x\"}}",
              "{\"v\":1,\"timeMs\":1,\"method\":\"bdev_null_delete\",\"params\":{\"name\":\"x\"}}",
              "{\"v\":1,\"timeMs\":1,\"method\":\"virtnvme_checkpoint_end\",\"params\":{}}")) {
        queue.append(text);
      }
    }
    try (Registry registry = open()) {
      assertEquals(List.of("a"), bdevs(registry));
      assertEquals(8, registry.counters().get("registry_entries_skipped"));
      createNull(registry, "b");
    }
    try (Registry registry = open()) {
      assertEquals(List.of("a", "b"), bdevs(registry));
    }
  }

  @Test
  void shouldBeginEachDayWithACheckpointAndKeepAFewFiles() throws IOException {
    for (int day = 0; day < 12; day++) {
      try (Registry registry = open()) {
        assertEquals(day, bdevs(registry).size());
        createNull(registry, "d" + day);
      }
      nowMs.addAndGet(DAY_MS);
    }
    assertEquals(8, files().size(), files().toString());
    // The newest file alone has everything, although the days before it are gone.
    for (final String file : files().subList(0, 7)) {
      Files.delete(directory.resolve("registry").resolve(file));
    }
    try (Registry registry = open()) {
      assertEquals(12, bdevs(registry).size());
    }
  }

  @Test
  void shouldAddACheckpointWhenTheDayChangesWhileOpen() throws IOException {
    try (Registry registry = open()) {
      createNull(registry, "a");
      nowMs.addAndGet(3 * DAY_MS);
      createNull(registry, "b");
    }
    assertEquals(List.of("20300101F.cq4", "20300104F.cq4"), files());
    Files.delete(directory.resolve("registry").resolve("20300101F.cq4"));
    try (Registry registry = open()) {
      assertEquals(List.of("a", "b"), bdevs(registry));
    }
  }

  @Test
  void shouldKeepTheOrderOfEntriesWhenTheClockIsSetBack() throws IOException {
    try (Registry registry = open()) {
      createNull(registry, "a");
      nowMs.addAndGet(-3 * DAY_MS);
      createNull(registry, "b");
      append(registry, "bdev_null_delete", "{\"name\":\"a\"}");
    }
    nowMs.addAndGet(-5 * DAY_MS);
    try (Registry registry = open()) {
      assertEquals(List.of("b"), bdevs(registry));
      append(registry, "bdev_null_delete", "{\"name\":\"b\"}");
      createNull(registry, "c");
    }
    nowMs.addAndGet(30 * DAY_MS);
    try (Registry registry = open()) {
      assertEquals(List.of("c"), bdevs(registry));
      createNull(registry, "d");
    }
    nowMs.addAndGet(-30 * DAY_MS);
    try (Registry registry = open()) {
      assertEquals(List.of("c", "d"), bdevs(registry));
    }
  }

  @Test
  void shouldIgnoreACheckpointCutShort() throws IOException {
    try (Registry registry = open()) {
      createNull(registry, "a");
      createNull(registry, "b");
    }
    nowMs.addAndGet(DAY_MS);
    final String begin =
        "{\"v\":1,\"timeMs\":1,\"method\":\"virtnvme_checkpoint_begin\",\"params\":{}}";
    try (JsonQueue queue = JsonQueue.open(directory.resolve("registry"), nowMs::get)) {
      queue.append(begin);
      queue.append(
          "{\"v\":1,\"timeMs\":1,\"method\":\"bdev_null_create\",\"params\":"
              + "{\"name\":\"a\",\"block_size\":512,\"num_blocks\":8}}");
    }
    try (Registry registry = open()) {
      assertEquals(List.of("a", "b"), bdevs(registry));
    }
    try (Registry registry = open()) {
      assertEquals(List.of("a", "b"), bdevs(registry));
      assertEquals(0, registry.counters().get("registry_entries_skipped"));
    }
  }

  @Test
  void shouldTakeEntriesWhileItIsStillOpeningInOrder() {
    try (Registry registry = open()) {
      for (int i = 0; i < 100; i++) {
        final ObjectNode params =
            (ObjectNode)
                JsonText.parse("{\"name\":\"n" + i + "\",\"block_size\":512,\"num_blocks\":8}");
        registry.append("bdev_null_create", params);
      }
    }
    try (Registry registry = open()) {
      final List<String> names = bdevs(registry);
      assertEquals(100, names.size());
      assertEquals("n99", names.get(99));
    }
  }

  @Test
  void shouldKeepStatesOfManyBdevsInACheckpoint() {
    try (Registry registry = open()) {
      for (int i = 0; i < 2000; i++) {
        final ObjectNode params =
            (ObjectNode)
                JsonText.parse("{\"name\":\"n" + i + "\",\"block_size\":512,\"num_blocks\":8}");
        registry.append("bdev_null_create", params);
      }
      nowMs.addAndGet(DAY_MS);
      append(registry, "bdev_null_delete", "{\"name\":\"n7\"}");
    }
    try (Registry registry = open()) {
      assertEquals(1999, bdevs(registry).size());
    }
  }

  @Test
  void shouldSayWhatToDoWhenItCannotBeOpened() throws IOException {
    Files.writeString(directory.resolve("registry"), "a file in the way");
    try (Registry registry = open()) {
      final CompletionException failure =
          assertThrows(CompletionException.class, () -> bdevs(registry));
      assertTrue(failure.getCause() instanceof IOException, failure.toString());
      assertTrue(failure.getCause().getMessage().contains("move it away"), failure.toString());
      final CompletionException refused =
          assertThrows(CompletionException.class, () -> createNull(registry, "a"));
      assertEquals(RpcException.EIO, ((RpcException) refused.getCause()).code());
    }
  }

  @Test
  void shouldTakeLittleDiskWhenEmpty() throws IOException {
    try (Registry registry = open()) {
      assertEquals(List.of(), bdevs(registry));
    }
    long blocks = 0;
    try (Stream<Path> files = Files.list(directory.resolve("registry"))) {
      for (final Path file : files.toList()) {
        blocks += allocatedBytes(file);
      }
    }
    assertTrue(blocks <= 64 * 1024, "an empty registry takes " + blocks + " bytes");
  }

  private static long allocatedBytes(final Path file) throws IOException {
    final Process stat =
        new ProcessBuilder("stat", "-c", "%b %B", file.toString())
            .redirectErrorStream(true)
            .start();
    final String[] words =
        new String(stat.getInputStream().readAllBytes(), java.nio.charset.StandardCharsets.UTF_8)
            .trim()
            .split(" ", 2);
    return Long.parseLong(words[0]) * Long.parseLong(words[1]);
  }
}
