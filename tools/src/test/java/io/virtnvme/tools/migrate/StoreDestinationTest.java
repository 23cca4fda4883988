package io.virtnvme.tools.migrate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.master.rpc.BdevMigration;
import io.virtnvme.tools.BlockStore;
import io.virtnvme.tools.nbd.NbdClient;
import io.virtnvme.tools.nbd.ScriptedServer;
import java.io.IOException;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.SplittableRandom;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What is asked of a server that keeps blocks, and what is found out about one that lies. */
@Timeout(60)
class StoreDestinationTest {
  private static final int CHUNKS = 4;
  private static final int LENGTH = CHUNKS * ChunkTable.CHUNK_BYTES - 4096;
  private static final int SILENCE_MS = 5000;

  @TempDir private Path folder;

  private final List<Integer> log = Collections.synchronizedList(new ArrayList<>());

  private static DiskControl.Disk disk(final long lengthBytes) {
    return new DiskControl.Disk(new UUID(1, 2), 512, lengthBytes, BdevMigration.NONE);
  }

  private void assertGreeting(
      final String refusal,
      final long lengthBytes,
      final int flags,
      final int blockBytes,
      final boolean mustFlush)
      throws IOException {
    final ScriptedServer.Script script =
        (in, out) -> {
          ScriptedServer.accept(in, out, lengthBytes, flags, blockBytes, 1 << 25);
          in.read();
        };
    try (ScriptedServer server = new ScriptedServer(folder, script);
        StoreDestination destination =
            new StoreDestination(
                NbdClient.connect(server.address(), SILENCE_MS, SILENCE_MS), false, mustFlush)) {
      assertFalse(destination.greet(disk(LENGTH), true), "it has what was flushed before");
      if (refusal == null) {
        assertTrue(destination.greet(disk(LENGTH), false));
      } else {
        final IOException refused =
            assertThrows(IOException.class, () -> destination.greet(disk(LENGTH), false));
        assertTrue(refused.getMessage().contains(refusal), refused.getMessage());
      }
    }
    Files.deleteIfExists(folder.resolve("nbd"));
  }

  @Test
  void shouldRefuseAServerThatCannotKeepTheDisk() throws IOException {
    assertGreeting(null, LENGTH, 0x5, 4096, true);
    assertGreeting(null, LENGTH + 512, 0x1, 1, false);
    assertGreeting("read-only", LENGTH, 0x7, 1, false);
    assertGreeting("only " + (LENGTH - 512), LENGTH - 512, 0x5, 1, false);
    assertGreeting("blocks of 65536", 1 << 20, 0x5, 65536, false);
    assertGreeting("durable", LENGTH, 0x1, 1, true);
  }

  /** All at once at the end it may take longer than a server may be silent. */
  @Test
  void shouldHaveALargeCopyFlushedOnItsWay() throws IOException {
    final int[] counts = new int[2];
    final BlockStore store =
        (BlockStore)
            Proxy.newProxyInstance(
                BlockStore.class.getClassLoader(),
                new Class<?>[] {BlockStore.class},
                (proxy, method, arguments) -> {
                  counts[0] += method.getName().equals("zero") ? 1 : 0;
                  counts[1] += method.getName().equals("flush") ? 1 : 0;
                  return null;
                });
    final int chunksOfAGib = (1 << 30) / ChunkTable.CHUNK_BYTES;
    final ChunkTable table = new ChunkTable(4L << 30);
    final StoreDestination destination = new StoreDestination(store, false, true);
    for (int half = 0; half < 7; half++) {
      destination.zero(table, half * chunksOfAGib / 2, chunksOfAGib / 2);
    }
    assertEquals(7, counts[0]);
    assertEquals(3, counts[1]);
  }

  @Test
  void shouldFindOutWhatTheServerDidNotKeep() throws IOException {
    final byte[] there = new byte[LENGTH];
    final byte[] wanted = new byte[CHUNKS * ChunkTable.CHUNK_BYTES];
    new SplittableRandom(5).nextBytes(there);
    new SplittableRandom(6).nextBytes(wanted);
    final ChunkTable table = new ChunkTable(LENGTH);
    try (ScriptedServer server = new ScriptedServer(folder, ScriptedServer.sound(there, log));
        StoreDestination destination =
            new StoreDestination(
                NbdClient.connect(server.address(), SILENCE_MS, SILENCE_MS), true, true)) {
      assertTrue(destination.greet(disk(LENGTH), false));
      destination.readSums(table, (chunk, sum) -> {});
      assertFalse(table.is(0, table.zeroSum(0)), "nothing is known of it");
      for (int chunk = 0; chunk < 3; chunk++) {
        write(destination, table, wanted, chunk);
      }
      destination.zero(table, 3, 1);
      table.sum(3, table.zeroSum(3));
      destination.endPass(1);
      java.util.Arrays.fill(wanted, 3 * ChunkTable.CHUNK_BYTES, wanted.length, (byte) 0);
      assertArrayEquals(java.util.Arrays.copyOf(wanted, LENGTH), there);

      there[ChunkTable.CHUNK_BYTES + 7] ^= 1;
      final List<Integer> differ = new ArrayList<>();
      destination.verify(
          table,
          (chunk, sum) -> {
            if (!table.is(chunk, sum)) {
              differ.add(chunk);
            }
          });
      assertEquals(List.of(1), differ);
      write(destination, table, wanted, 1);
      destination.prepare(table);
      write(destination, table, wanted, 2);
      destination.endPass(2);
      there[2 * ChunkTable.CHUNK_BYTES] ^= 1;
      assertThrows(IOException.class, () -> destination.prepare(table));
    }
  }

  private static void write(
      final StoreDestination destination,
      final ChunkTable table,
      final byte[] bytes,
      final int chunk)
      throws IOException {
    final int at = (int) table.offset(chunk);
    final long sum = table.compute(bytes, at, table.length(chunk));
    destination.write(table, chunk, sum, bytes, at);
    table.sum(chunk, sum);
  }
}
