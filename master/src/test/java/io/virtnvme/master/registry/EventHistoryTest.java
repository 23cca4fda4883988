package io.virtnvme.master.registry;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.master.rpc.JsonText;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.LocalDate;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
final class EventHistoryTest {
  private static final long DAY_MS = Duration.ofDays(1).toMillis();

  @TempDir Path directory;

  private final AtomicLong nowMs = new AtomicLong(LocalDate.of(2030, 1, 1).toEpochDay() * DAY_MS);

  private EventHistory open() {
    return EventHistory.open(directory.resolve("history"), nowMs::get);
  }

  private static void append(final EventHistory history, final int number) {
    history.append("tick", (ObjectNode) JsonText.parse("{\"number\":" + number + "}"));
  }

  private static List<Integer> numbers(final EventHistory history, final int count) {
    return history.last(count).toCompletableFuture().join().stream()
        .map((final JsonNode event) -> event.path("data").path("number").asInt())
        .toList();
  }

  @Test
  void shouldGiveTheNewestEventsOverRestartsAndDays() {
    try (EventHistory history = open()) {
      assertEquals(List.of(), numbers(history, 5));
      append(history, 1);
      append(history, 2);
    }
    nowMs.addAndGet(4 * DAY_MS);
    try (EventHistory history = open()) {
      assertEquals(List.of(1, 2), numbers(history, 5));
      append(history, 3);
      nowMs.addAndGet(DAY_MS);
      append(history, 4);
      assertEquals(List.of(2, 3, 4), numbers(history, 3));
      assertEquals(List.of(1, 2, 3, 4), numbers(history, 100));
      assertEquals(2, history.counters().get("history_events_appended"));
    }
  }

  @Test
  void shouldKeepTwoWeeksOfFiles() throws IOException {
    for (int day = 0; day < 20; day++) {
      try (EventHistory history = open()) {
        append(history, day);
      }
      nowMs.addAndGet(DAY_MS);
    }
    try (EventHistory history = open()) {
      assertEquals(14, numbers(history, 100).size());
      assertEquals(List.of(18, 19), numbers(history, 2));
    }
  }

  @Test
  void shouldOnlyCountWhatItCannotKeep() throws IOException {
    Files.writeString(directory.resolve("history"), "a file in the way");
    try (EventHistory history = open()) {
      append(history, 1);
      assertEquals(List.of(), numbers(history, 5));
      assertEquals(1, history.counters().get("history_events_lost"));
    }
  }
}
