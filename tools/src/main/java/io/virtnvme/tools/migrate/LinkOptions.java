package io.virtnvme.tools.migrate;

import io.virtnvme.tools.CommandFailedException;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.util.Objects;
import java.util.stream.Stream;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/**
 * How the two ends reach and know each other: TLS 1.3 where each shows a certificate that the other
 * trusts, or, only if the operator says so, nothing at all. The command's main thread.
 */
public final class LinkOptions {
  private static final String PROTOCOL = "TLSv1.3";
  private static final int CONNECT_MS = 10_000;

  /** Files of either kind that TLS takes. */
  private static final int ALL = 3;

  /** In memory only, where the store of a PEM key wants one. */
  private static final char[] NO_SECRET = {'-'};

  @Option(
      names = "--tls-keystore",
      paramLabel = "FILE",
      description = "PKCS12 file with this end's key and certificate.")
  private Path keyStore;

  @Option(
      names = "--tls-truststore",
      paramLabel = "FILE",
      description =
          "PKCS12 file with the certificates that the other end may show or be signed by.")
  private Path trustStore;

  @Option(
      names = "--tls-password-file",
      paramLabel = "FILE",
      description = "First line: the password of both files.")
  private Path passwordFile;

  @Option(
      names = "--cert",
      paramLabel = "FILE",
      description = "PEM file with this end's certificate, then those that signed it.")
  private Path certificate;

  @Option(
      names = "--key",
      paramLabel = "FILE",
      description = "PEM file with its key (PKCS #8, not encrypted).")
  private Path key;

  @Option(
      names = "--ca",
      paramLabel = "FILE",
      description = "PEM file with the certificates that the other end may show or be signed by.")
  private Path authorities;

  @Option(
      names = "--insecure",
      description = "Plain TCP: whoever is on the way reads the disk, or makes another one of it.")
  private boolean insecure;

  public LinkOptions() {}

  /** Refuses what is neither the one nor the other. */
  void check(final CommandSpec spec) {
    final long storeCount = count(keyStore, trustStore, passwordFile);
    final long pemCount = count(certificate, key, authorities);
    final boolean isWhole = storeCount + pemCount == ALL && (storeCount == ALL || pemCount == ALL);
    if (insecure ? storeCount + pemCount > 0 : !isWhole) {
      throw new ParameterException(
          spec.commandLine(),
          "give --tls-keystore, --tls-truststore and --tls-password-file, or --cert, --key and"
              + " --ca, or --insecure alone");
    }
  }

  private static long count(final Path... files) {
    return Stream.of(files).filter(Objects::nonNull).count();
  }

  /**
   * Refuses TLS where there is none, and a network without it unless the operator says so.
   *
   * @param isLocal no network is between the ends
   */
  void checkPlain(final CommandSpec spec, final boolean isLocal) {
    final long fileCount = count(keyStore, trustStore, passwordFile, certificate, key, authorities);
    if (fileCount > 0 || !(insecure || isLocal)) {
      throw new ParameterException(
          spec.commandLine(),
          "--to: there goes no TLS: no files for it, and --insecure for nbd://");
    }
  }

  /** Parses HOST:PORT; the host of an IPv6 address may be in brackets. */
  static InetSocketAddress parse(
      final CommandSpec spec, final String option, final String address, final int portMin) {
    final int colon = address.lastIndexOf(':');
    try {
      final int port = Integer.parseInt(address.substring(colon + 1));
      if (colon > 0 && port >= portMin) {
        return InetSocketAddress.createUnresolved(address.substring(0, colon), port);
      }
    } catch (final IllegalArgumentException e) {
      throw new ParameterException(
          spec.commandLine(), option + ": '" + address + "' is not HOST:PORT", e);
    }
    throw new ParameterException(
        spec.commandLine(), option + ": '" + address + "' is not HOST:PORT");
  }

  private static String text(final InetSocketAddress address) {
    return address.getHostString() + ":" + address.getPort();
  }

  /** Connects, and with TLS makes sure that it is the host that was named. */
  Socket connect(final InetSocketAddress to) throws IOException {
    final Socket plain = new Socket();
    try {
      plain.connect(
          new InetSocketAddress(InetAddress.getByName(to.getHostString()), to.getPort()),
          CONNECT_MS);
      plain.setTcpNoDelay(true);
      if (insecure) {
        return plain;
      }
      final SSLSocket socket =
          (SSLSocket)
              context()
                  .getSocketFactory()
                  .createSocket(plain, to.getHostString(), to.getPort(), true);
      final SSLParameters parameters = socket.getSSLParameters();
      parameters.setProtocols(new String[] {PROTOCOL});
      parameters.setEndpointIdentificationAlgorithm("HTTPS");
      socket.setSSLParameters(parameters);
      socket.startHandshake();
      return socket;
    } catch (final IOException e) {
      plain.close();
      throw new IOException("cannot connect to " + text(to) + ": " + e.getMessage(), e);
    }
  }

  /** Listens; with TLS every client must show a certificate. */
  ServerSocket listen(final InetSocketAddress at) throws IOException {
    final ServerSocket listener =
        insecure ? new ServerSocket() : context().getServerSocketFactory().createServerSocket();
    try {
      if (listener instanceof SSLServerSocket tls) {
        tls.setEnabledProtocols(new String[] {PROTOCOL});
        tls.setNeedClientAuth(true);
      }
      listener.setReuseAddress(true);
      listener.bind(
          new InetSocketAddress(InetAddress.getByName(at.getHostString()), at.getPort()), 4);
      return listener;
    } catch (final IOException e) {
      listener.close();
      throw new IOException("cannot listen at " + text(at) + ": " + e.getMessage(), e);
    }
  }

  private SSLContext context() throws IOException {
    try {
      final boolean isPem = certificate != null;
      final char[] password =
          isPem
              ? NO_SECRET
              : Files.readAllLines(passwordFile).stream().findFirst().orElse("").toCharArray();
      final KeyManagerFactory keys =
          KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
      keys.init(
          isPem ? PemFiles.key(certificate, key, password) : load(keyStore, password), password);
      final TrustManagerFactory trust =
          TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
      trust.init(isPem ? PemFiles.trusted(authorities) : load(trustStore, password));
      final SSLContext context = SSLContext.getInstance("TLS");
      context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
      return context;
    } catch (final GeneralSecurityException e) {
      throw new CommandFailedException("TLS cannot be set up: " + e.getMessage(), e);
    }
  }

  private static KeyStore load(final Path file, final char[] password)
      throws IOException, GeneralSecurityException {
    final KeyStore store = KeyStore.getInstance("PKCS12");
    try (InputStream in = Files.newInputStream(file)) {
      store.load(in, password);
      return store;
    } catch (final IOException e) {
      throw new IOException(file + " cannot be used: " + e.getMessage(), e);
    }
  }
}
