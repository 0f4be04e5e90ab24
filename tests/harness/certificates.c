/* Certificates made afresh for each run, so that none ever expires in the repository. */
#include "certificates.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/stat.h>

#include "process.h"

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    if (extension == NULL || X509_add_ext(certificate, extension, -1) != 1)
        sy_harness_die("cannot add a certificate extension: %s", value);
    X509_EXTENSION_free(extension);
}

static X509 *make(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key, long serial)
{
    enum { DAY_S = 24 * 3600 };
    X509 *certificate = X509_new();
    if (certificate == NULL)
        sy_harness_die("out of memory");
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -DAY_S);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 10L * DAY_S);
    X509_set_pubkey(certificate, key);
    X509_NAME *subject = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(certificate, issuer != NULL ? X509_get_subject_name(issuer) : subject);
    if (issuer == NULL)
        add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
    (void)issuer_key;
    return certificate;
}

static FILE *open_file(const char *dir, const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    if (file == NULL)
        sy_harness_die("cannot write %s", path);
    sy_give_file(path);
    if (name[0] == 's')
        chmod(path, 0600);
    return file;
}

void sy_test_certificates(const char *dir, const char *extra_name)
{
    char names[300];
    EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
    if (ca_key == NULL || key == NULL)
        sy_harness_die("cannot make keys");
    X509 *ca = make("Switchyard test authority", ca_key, NULL, NULL, 1);
    X509 *server = make("localhost", key, ca, ca_key, 2);
    snprintf(names, sizeof(names), "DNS:localhost,IP:127.0.0.1%s%s",
             extra_name != NULL ? ",DNS:" : "", extra_name != NULL ? extra_name : "");
    add_extension(server, ca, NID_subject_alt_name, names);
    if (X509_sign(ca, ca_key, EVP_sha256()) == 0 || X509_sign(server, ca_key, EVP_sha256()) == 0)
        sy_harness_die("cannot sign certificates");
    FILE *file = open_file(dir, "ca.crt");
    PEM_write_X509(file, ca);
    fclose(file);
    file = open_file(dir, "server.crt");
    PEM_write_X509(file, server);
    fclose(file);
    file = open_file(dir, "server.key");
    PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
    X509_free(ca);
    X509_free(server);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(key);
}
