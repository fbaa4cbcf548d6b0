import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;

/**
 * Says whether Java's TLS takes a certificate for what somebody claims it to be.
 *
 * <pre>
 * Verify version
 * Verify KEY BUNDLE CHAIN server NAME
 * Verify KEY BUNDLE CHAIN client
 * </pre>
 *
 * KEY (PKCS#8), BUNDLE and CHAIN are PEM files; NAME is the IP or DNS name that was dialled. The library
 * checks a server's name only in a handshake, so there is one, over loopback. It prints "accepted" or
 * "refused: WHY"; whatever else ends it is a fault of the question.
 */
public final class Verify {
    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("version")) {
            System.out.println(Runtime.version().feature());
            return;
        }
        X509Certificate[] chain = certificates(arguments[2]);
        X509TrustManager trust = trust(arguments[1]);
        System.out.println(switch (arguments[3]) {
            case "server" -> server(trust, chain, arguments[4], key(arguments[0]));
            case "client" -> client(trust, chain);
            default -> throw new IllegalArgumentException("neither server nor client");
        });
    }

    private static String client(X509TrustManager trust, X509Certificate[] chain) {
        try {
            trust.checkClientTrusted(chain, "EC");
            return "accepted";
        } catch (CertificateException why) {
            return refused(why);
        }
    }

    private static String server(X509TrustManager trust, X509Certificate[] chain, String name, PrivateKey key)
            throws Exception {
        SSLContext server = SSLContext.getInstance("TLSv1.3");
        server.init(identity(chain, key), new TrustManager[0], null);
        SSLContext client = SSLContext.getInstance("TLSv1.3");
        client.init(new KeyManager[0], new TrustManager[] {trust}, null);
        InetAddress loopback = InetAddress.getLoopbackAddress();
        try (SSLServerSocket listening =
                (SSLServerSocket) server.getServerSocketFactory().createServerSocket(0, 1, loopback)) {
            Thread serving = new Thread(() -> serve(listening));
            serving.setDaemon(true);
            serving.start();
            Socket plain = new Socket(loopback, listening.getLocalPort());
            SSLSocket socket = (SSLSocket) client.getSocketFactory().createSocket(plain, name, 8443, true);
            SSLParameters parameters = socket.getSSLParameters();
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
            socket.setSSLParameters(parameters);
            try (socket) {
                socket.startHandshake();
                return "accepted";
            } catch (SSLException why) {
                // Only what this side found wrong is a refusal; a server that fails is a fault.
                for (Throwable cause = why; cause != null; cause = cause.getCause()) {
                    if (cause instanceof CertificateException) {
                        return refused(why);
                    }
                }
                throw why;
            }
        }
    }

    private static void serve(SSLServerSocket listening) {
        try (SSLSocket socket = (SSLSocket) listening.accept()) {
            socket.startHandshake();
            socket.getInputStream().read();
        } catch (IOException ended) {
            // The other side says why.
        }
    }

    private static String refused(Exception why) {
        String text = why.getMessage();
        for (Throwable cause = why.getCause(); cause != null; cause = cause.getCause()) {
            text = cause.getMessage();
        }
        return "refused: " + String.valueOf(text).replaceAll("\\s+", " ");
    }

    private static X509TrustManager trust(String bundle) throws Exception {
        KeyStore store = empty();
        int number = 0;
        for (X509Certificate root : certificates(bundle)) {
            store.setCertificateEntry("root-" + number++, root);
        }
        TrustManagerFactory factory = TrustManagerFactory.getInstance("PKIX");
        factory.init(store);
        return (X509TrustManager) factory.getTrustManagers()[0];
    }

    private static KeyManager[] identity(Certificate[] chain, PrivateKey key) throws Exception {
        KeyStore store = empty();
        store.setKeyEntry("leaf", key, new char[0], chain);
        KeyManagerFactory factory = KeyManagerFactory.getInstance("SunX509");
        factory.init(store, new char[0]);
        return factory.getKeyManagers();
    }

    private static KeyStore empty() throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        return store;
    }

    private static X509Certificate[] certificates(String path) throws Exception {
        try (InputStream blocks = Files.newInputStream(Path.of(path))) {
            return CertificateFactory.getInstance("X.509")
                    .generateCertificates(blocks)
                    .toArray(new X509Certificate[0]);
        }
    }

    private static PrivateKey key(String path) throws Exception {
        String text = Files.readString(Path.of(path)).replaceAll("-----[A-Z ]+-----|\\s", "");
        return KeyFactory.getInstance("EC")
                .generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(text)));
    }
}
