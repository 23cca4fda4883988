package io.virtnvme.tools.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.virtnvme.ipc.nvme.client.NvmeClientException;
import io.virtnvme.ipc.sys.SysException;
import io.virtnvme.ipc.sys.Threads;
import io.virtnvme.ipc.vfiouser.VfioUserClientException;
import io.virtnvme.ipc.vhostuser.VhostUserFrontEndException;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/**
 * {@code virtnvme bench-load}: the client process of the benchmark. Takes one order per line of
 * standard input, answers each with one line, ends with the input.
 */
@Command(
    name = "bench-load",
    hidden = true,
    mixinStandardHelpOptions = true,
    description = "Carry out the benchmark's runs, given as lines of JSON on standard input.")
public final class BenchLoadCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  /** For picocli. */
  public BenchLoadCommand() {}

  @Override
  public Integer call() throws IOException {
    final ObjectMapper mapper = new ObjectMapper();
    final PrintWriter out = spec.commandLine().getOut();
    final BufferedReader in =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      final RunResult result = execute(mapper.readValue(line, RunOrder.class));
      out.println(mapper.writeValueAsString(result));
      out.flush();
    }
    return 0;
  }

  private static RunResult execute(final RunOrder order) {
    if (order.clientCore() >= 0) {
      Threads.pinTo(order.clientCore());
    }
    try {
      return new ClientRun(order).execute();
    } catch (final BenchException
        | VhostUserFrontEndException
        | VfioUserClientException
        | NvmeClientException
        | SysException e) {
      return RunResult.failed(e.getMessage());
    }
  }
}
