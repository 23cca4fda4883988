package io.virtnvme.tools.bench;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.virtnvme.tools.CommandFailedException;
import io.virtnvme.tools.JvmCommand;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * The client's process, which stays for the whole benchmark so that its code is compiled once. Used
 * by the benchmark's main thread; a thread of its own reads the answers.
 */
final class BenchClient implements AutoCloseable {
  /** What a run may take beyond its own length: start of the process, connection, a stalled end. */
  private static final long EXTRA_MS = 60_000;

  private static final long DEATH_LIMIT_MS = 5000;
  private static final String END = "";

  private final ObjectMapper mapper = new ObjectMapper();
  private final Process process;
  private final BufferedWriter orders;
  private final BlockingQueue<String> answers = new LinkedBlockingQueue<>();

  BenchClient() throws IOException {
    process =
        new ProcessBuilder(JvmCommand.of(List.of("bench-load")))
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    orders = process.outputWriter(StandardCharsets.UTF_8);
    final Thread reader = new Thread(this::read, "client-answers");
    reader.setDaemon(true);
    reader.start();
  }

  private void read() {
    try (BufferedReader in = process.inputReader(StandardCharsets.UTF_8)) {
      for (String line = in.readLine(); line != null; line = in.readLine()) {
        answers.add(line);
      }
    } catch (final IOException e) {
      answers.add(END);
    }
    answers.add(END);
  }

  /** Has a run carried out; throws when the client's process is lost. */
  RunResult run(final RunOrder order) {
    try {
      orders.write(mapper.writeValueAsString(order));
      orders.newLine();
      orders.flush();
      final long limitMs = order.warmUpMs() + order.runMs() + EXTRA_MS;
      final String answer = answers.poll(limitMs, TimeUnit.MILLISECONDS);
      if (answer == null) {
        throw new CommandFailedException("the load client did not answer in " + limitMs + " ms");
      }
      if (answer.equals(END)) {
        throw new CommandFailedException("the load client ended in the middle of a run");
      }
      return mapper.readValue(answer, RunResult.class);
    } catch (final JsonProcessingException e) {
      throw new CommandFailedException("no result of the load client: " + e.getMessage(), e);
    } catch (final IOException e) {
      throw new CommandFailedException("the load client is gone: " + e.getMessage(), e);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new CommandFailedException("interrupted during a run", e);
    }
  }

  @Override
  public void close() {
    process.destroyForcibly();
    try {
      process.waitFor(DEATH_LIMIT_MS, TimeUnit.MILLISECONDS);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
