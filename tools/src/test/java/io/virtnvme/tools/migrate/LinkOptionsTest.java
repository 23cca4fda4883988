package io.virtnvme.tools.migrate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.util.Base64;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;

/** Both ends show a certificate that the other trusts, or there is no connection. */
@Timeout(60)
class LinkOptionsTest {
  private static final char[] PASSWORD = "secret7".toCharArray();

  @TempDir private Path folder;

  /** What has the options. */
  @Command
  private static final class Holder {
    @Mixin private LinkOptions link;
  }

  @BeforeEach
  void makeKeys() throws Exception {
    Files.writeString(folder.resolve("password"), new String(PASSWORD) + "\n");
    makeKey("source", "dns:localhost,ip:127.0.0.1");
    makeKey("destination", "dns:localhost,ip:127.0.0.1");
    trust("trusts-both", "source", "destination");
  }

  private void makeKey(final String name, final String names) throws Exception {
    final Process keytool =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "keytool").toString(),
                "-genkeypair",
                "-alias",
                "key",
                "-keyalg",
                "EC",
                "-dname",
                "CN=" + name,
                "-ext",
                "SAN=" + names,
                "-validity",
                "2",
                "-storetype",
                "PKCS12",
                "-keystore",
                folder.resolve(name).toString(),
                "-storepass",
                new String(PASSWORD))
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve("keytool").toFile())
            .start();
    assertTrue(keytool.waitFor(50, TimeUnit.SECONDS));
    assertEquals(0, keytool.exitValue(), Files.readString(folder.resolve("keytool")));
  }

  private void trust(final String name, final String... trusted)
      throws IOException, GeneralSecurityException {
    final KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, PASSWORD);
    for (final String one : trusted) {
      final KeyStore keys = KeyStore.getInstance("PKCS12");
      try (InputStream in = Files.newInputStream(folder.resolve(one))) {
        keys.load(in, PASSWORD);
      }
      store.setCertificateEntry(one, keys.getCertificate("key"));
    }
    try (OutputStream out = Files.newOutputStream(folder.resolve(name))) {
      store.store(out, PASSWORD);
    }
  }

  private static LinkOptions options(final String... arguments) {
    final Holder holder = new Holder();
    new CommandLine(holder).parseArgs(arguments);
    return holder.link;
  }

  private LinkOptions tls(final String keys, final String trusted) {
    return options(
        "--tls-keystore",
        folder.resolve(keys).toString(),
        "--tls-truststore",
        folder.resolve(trusted).toString(),
        "--tls-password-file",
        folder.resolve("password").toString());
  }

  /** Sends a frame over a connection; what the other end received. */
  private static FrameType exchange(final LinkOptions to, final String host, final LinkOptions at)
      throws Exception {
    try (ServerSocket listener = at.listen(InetSocketAddress.createUnresolved("127.0.0.1", 0))) {
      final CompletableFuture<FrameType> received =
          CompletableFuture.supplyAsync(
              () -> {
                try (Socket socket = listener.accept();
                    Wire wire = Wire.over(socket)) {
                  socket.setSoTimeout(10_000);
                  final FrameType type = wire.receive();
                  wire.sendEmpty(FrameType.COMMITTED);
                  return type;
                } catch (final IOException e) {
                  return null;
                }
              });
      try (Socket socket =
              to.connect(InetSocketAddress.createUnresolved(host, listener.getLocalPort()));
          Wire wire = Wire.over(socket)) {
        socket.setSoTimeout(10_000);
        wire.sendEmpty(FrameType.COMMIT);
        // A server that does not trust this end says so when the client believes to be through.
        wire.expect(FrameType.COMMITTED);
      }
      return received.get(20, TimeUnit.SECONDS);
    }
  }

  @Test
  void shouldConnectWhoKnowEachOtherAndNobodyElse() throws Exception {
    final LinkOptions source = tls("source", "trusts-both");
    final LinkOptions destination = tls("destination", "trusts-both");
    assertEquals(FrameType.COMMIT, exchange(source, "localhost", destination));
    assertEquals(FrameType.COMMIT, exchange(source, "127.0.0.1", destination));

    trust("trusts-source", "source");
    trust("trusts-destination", "destination");
    assertEquals(
        FrameType.COMMIT,
        exchange(
            tls("source", "trusts-destination"), "localhost", tls("destination", "trusts-source")));
    final LinkOptions suspicious = tls("destination", "trusts-destination");
    assertThrows(IOException.class, () -> exchange(source, "localhost", suspicious));
    final LinkOptions misled = tls("source", "trusts-source");
    assertThrows(IOException.class, () -> exchange(misled, "localhost", destination));

    final LinkOptions plain = options("--insecure");
    assertEquals(FrameType.COMMIT, exchange(plain, "localhost", plain));
    assertThrows(IOException.class, () -> exchange(plain, "localhost", destination));
    assertThrows(IOException.class, () -> exchange(source, "localhost", plain));
  }

  private void toPem(final String name) throws Exception {
    final KeyStore keys = KeyStore.getInstance("PKCS12");
    try (InputStream in = Files.newInputStream(folder.resolve(name))) {
      keys.load(in, PASSWORD);
    }
    Files.writeString(
        folder.resolve(name + ".crt"), pem("CERTIFICATE", keys.getCertificate("key").getEncoded()));
    Files.writeString(
        folder.resolve(name + ".key"),
        pem("PRIVATE KEY", keys.getKey("key", PASSWORD).getEncoded()));
  }

  private static String pem(final String label, final byte[] content) {
    return "made for a test\n-----BEGIN "
        + label
        + "-----\n"
        + Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(content)
        + "\n-----END "
        + label
        + "-----\n";
  }

  private LinkOptions pem(final String certificate, final String key, final String authorities) {
    return options(
        "--cert",
        folder.resolve(certificate).toString(),
        "--key",
        folder.resolve(key).toString(),
        "--ca",
        folder.resolve(authorities).toString());
  }

  @Test
  void shouldTakePemFilesAsWell() throws Exception {
    toPem("source");
    toPem("destination");
    Files.writeString(
        folder.resolve("both.crt"),
        Files.readString(folder.resolve("source.crt"))
            + Files.readString(folder.resolve("destination.crt")));
    final LinkOptions source = pem("source.crt", "source.key", "both.crt");
    final LinkOptions destination = pem("destination.crt", "destination.key", "source.crt");
    assertEquals(FrameType.COMMIT, exchange(source, "localhost", destination));
    assertEquals(
        FrameType.COMMIT, exchange(source, "localhost", tls("destination", "trusts-both")));
    final LinkOptions misled = pem("source.crt", "source.key", "source.crt");
    assertThrows(IOException.class, () -> exchange(misled, "localhost", destination));
    // The key of another certificate.
    final LinkOptions mixed = pem("destination.crt", "source.key", "source.crt");
    assertThrows(Exception.class, () -> exchange(source, "localhost", mixed));
    for (final String bad : new String[] {"source.crt", "password", "nothing"}) {
      assertThrows(
          Exception.class, () -> pem("source.crt", bad, "both.crt").listen(anyPort()), bad);
    }
    assertThrows(
        Exception.class, () -> pem("source.crt", "source.key", "password").listen(anyPort()));
  }

  private static InetSocketAddress anyPort() {
    return InetSocketAddress.createUnresolved("127.0.0.1", 0);
  }

  @Test
  void shouldTakeFilesOfOneKindOrNone() {
    assertRefused();
    assertRefused("--cert", "c", "--key", "k");
    assertRefused("--cert", "c", "--key", "k", "--ca", "a", "--insecure");
    assertRefused("--cert", "c", "--key", "k", "--tls-truststore", "t");
    assertRefused("--cert", "c", "--key", "k", "--ca", "a", "--tls-truststore", "t");
    options("--cert", "c", "--key", "k", "--ca", "a").check(spec());
    options("--insecure").check(spec());
    options("--insecure").checkPlain(spec(), false);
    options().checkPlain(spec(), true);
    assertThrows(ParameterException.class, () -> options().checkPlain(spec(), false));
    assertThrows(
        ParameterException.class,
        () -> options("--insecure", "--ca", "a").checkPlain(spec(), true));
  }

  private static void assertRefused(final String... arguments) {
    assertThrows(ParameterException.class, () -> options(arguments).check(spec()));
  }

  private static CommandSpec spec() {
    return new CommandLine(CommandSpec.create()).getCommandSpec();
  }

  @Test
  void shouldNotTakeAnotherHostForTheOneThatWasNamed() throws Exception {
    makeKey("elsewhere", "dns:elsewhere.example,ip:192.0.2.1");
    trust("trusts-all", "source", "elsewhere");
    final LinkOptions source = tls("source", "trusts-all");
    final LinkOptions destination = tls("elsewhere", "trusts-all");
    assertThrows(IOException.class, () -> exchange(source, "localhost", destination));
  }

  @Test
  void shouldSayWhatIsWrongWithAFile() throws Exception {
    Files.writeString(folder.resolve("broken"), "no PKCS12");
    final LinkOptions broken = tls("broken", "trusts-both");
    final IOException failure =
        assertThrows(
            IOException.class,
            () -> broken.listen(InetSocketAddress.createUnresolved("127.0.0.1", 0)));
    assertTrue(failure.getMessage().contains("broken"), failure.getMessage());
  }
}
