package io.virtnvme.tools.load;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LoadProgressTest {
  private static final long MS = 1_000_000;
  private static final long START = 5_000 * MS;

  @TempDir private Path folder;

  @Test
  void shouldShowTheWatcherWhatTheClientWrote() {
    final Path path = folder.resolve("progress");
    try (LoadProgress watcher = LoadProgress.create(path);
        LoadProgress client = LoadProgress.open(path)) {
      client.start(START);
      client.state(LoadProgress.State.RUNNING);
      client.onBatch(START + 2 * MS, 3, 3, 12288, 0, 1);
      client.onBatch(START + 2 * MS + 10, 4, 7, 28672, 1, 2);
      client.onBatch(START + 5 * MS, 1, 8, 32768, 1, 2);
      assertEquals(LoadProgress.State.RUNNING, watcher.state());
      assertEquals(8, watcher.ios());
      assertEquals(32768, watcher.bytes());
      assertEquals(1, watcher.errors());
      assertEquals(2, watcher.verifiedBlocks());
      assertArrayEquals(new int[] {0, 7, 0, 0, 1, 0}, watcher.iosPerMilli(START + 3 * MS, 2, 4));
      watcher.command(LoadProgress.COMMAND_FINISH);
      assertEquals(LoadProgress.COMMAND_FINISH, client.command());
    }
  }

  @Test
  void shouldForgetCountsThatTheRingPassedOver() {
    try (LoadProgress progress = LoadProgress.create(folder.resolve("progress"))) {
      progress.start(START);
      progress.onBatch(START + 1 * MS, 9, 9, 0, 0, 0);
      progress.onBatch(START + (LoadProgress.MILLIS_COUNT + 3L) * MS, 1, 10, 0, 0, 0);
      assertArrayEquals(
          new int[] {0, 0, 1},
          progress.iosPerMilli(START + (LoadProgress.MILLIS_COUNT + 1L) * MS, 0, 3));
    }
  }

  @Test
  void shouldCountABlackoutFromTheKillToTheNextCompletion() {
    try (LoadProgress progress = LoadProgress.create(folder.resolve("progress"))) {
      progress.start(START);
      progress.onGap(START, START + 3 * MS, 1);
      progress.onGap(START + 10 * MS, START + 12 * MS, 32);
      progress.onGap(START + 20 * MS, START + 29 * MS, 32);
      assertEquals(2 * MS - 100, progress.blackoutNs(START + 10 * MS + 100, MS), "covers it");
      assertEquals(2 * MS, progress.blackoutNs(START + 10 * MS - 100, MS), "begins after");
      assertEquals(0, progress.blackoutNs(START + 13 * MS, MS), "later gaps do not count");
    }
  }

  @Test
  void shouldTellTheLongestPauseThatBeginsWithinATime() {
    try (LoadProgress progress = LoadProgress.create(folder.resolve("progress"))) {
      progress.start(START);
      progress.onGap(START, START + 9 * MS, 1);
      progress.onGap(START + 10 * MS, START + 12 * MS, 32);
      progress.onGap(START + 13 * MS, START + 14 * MS, 32);
      assertEquals(2 * MS, progress.longestPauseNs(START + MS, START + 20 * MS));
      assertEquals(MS, progress.longestPauseNs(START + 11 * MS, START + 20 * MS));
      assertEquals(0, progress.longestPauseNs(START + 11 * MS, START + 13 * MS), "end excluded");
    }
  }

  @Test
  void shouldForgetAnEarlierKillWhenAnotherIsAskedFor() {
    try (LoadProgress progress = LoadProgress.create(folder.resolve("progress"))) {
      progress.killedNs(START);
      progress.kill(4711);
      assertEquals(0, progress.killedNs());
      assertEquals(4711, progress.victim());
      assertEquals(LoadProgress.COMMAND_KILL, progress.command());
    }
  }

  @Test
  void shouldRefuseAFileThatIsNoProgressFile() throws IOException {
    final Path path = folder.resolve("other");
    Files.write(path, new byte[100]);
    assertThrows(IllegalArgumentException.class, () -> LoadProgress.open(path));
  }
}
